-- migrate:up

-- A subject's events are counted together: the machine, or the valuation itself where no machine
-- is registered. Its row is locked while events of it are written.
create table subject (
    name text primary key,
    event_sequence bigint not null default 0
);

create table valuation (
    id uuid primary key,
    version bigint not null default 1,
    event_sequence bigint not null default 0,
    subject text not null references subject,
    party text not null,
    machine text not null,
    state text not null check (
        state in
            ('COMPUTED', 'IN_REVIEW', 'ISSUED', 'SUPERSEDED', 'EXPIRED', 'REVOKED', 'REJECTED')
    ),
    as_of date not null,
    record bytea not null,
    record_sha256 text not null check (record_sha256 ~ '^[0-9a-f]{64}$'),
    decision_reason text not null default '',
    decided_by text not null default '',
    superseded_by uuid references valuation,
    issue_time timestamptz,
    expire_time timestamptz,
    create_time timestamptz not null,
    update_time timestamptz not null,
    check ((state = 'SUPERSEDED') = (superseded_by is not null)),
    check ((issue_time is null) = (expire_time is null))
);
create index valuation_newest on valuation (create_time desc, id desc);
create index valuation_party on valuation (party, create_time desc, id desc);
create index valuation_machine on valuation (machine, create_time desc, id desc)
where machine <> '';
create index valuation_state on valuation (state, create_time desc, id desc);
create index valuation_issued on valuation (machine, party)
where state = 'ISSUED' and machine <> '';

-- What was computed never changes; only its standing does.
create function keep_record() returns trigger language plpgsql as $$
begin
    if (new.id, new.subject, new.party, new.machine, new.as_of, new.record, new.record_sha256,
        new.create_time)
        is distinct from
        (old.id, old.subject, old.party, old.machine, old.as_of, old.record, old.record_sha256,
        old.create_time)
    then
        raise exception 'the record of valuation % cannot be changed', old.id;
    end if;
    return new;
end
$$;
create trigger valuation_record before update on valuation
for each row execute function keep_record();

create function keep_valuation() returns trigger language plpgsql as $$
begin
    raise exception 'valuation % cannot be deleted', old.id;
end
$$;
create trigger valuation_kept before delete on valuation
for each row execute function keep_valuation();

-- migrate:down
