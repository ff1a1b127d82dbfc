-- migrate:up

create table listing (
    id uuid primary key,
    version bigint not null default 1,
    event_sequence bigint not null default 0,
    state text not null check (state in (
        'DRAFT', 'SUBMITTED', 'INSPECTED', 'PUBLISHED', 'RESERVED', 'SOLD', 'WITHDRAWN', 'EXPIRED'
    )),
    machine_id uuid not null references machine,
    seller text not null,
    reference text,
    format text not null check (format in ('FIXED', 'OFFER')),
    ask_fen bigint not null check (ask_fen > 0),
    price_override_reason text not null,
    region text not null,
    description text not null,
    photos jsonb not null,
    title_proofs jsonb not null,
    lien_disclosure jsonb,
    rejection_reason text not null default '',
    -- The machine as it was when the listing was published; search reads nothing else.
    make text not null,
    model text not null,
    equipment_class text not null,
    build_year int not null,  -- 0: unknown, so that a page can end there
    hours_meter numeric(8, 2),
    search_terms text[] not null,
    guide jsonb,
    order_name text,
    buyer text,
    agreed_price_fen bigint,
    publish_time timestamptz,
    expire_time timestamptz,
    create_time timestamptz not null,
    update_time timestamptz not null,
    check ((order_name is null) = (buyer is null) and (buyer is null) = (agreed_price_fen is null)),
    check ((state in ('RESERVED', 'SOLD')) = (order_name is not null)),
    check (state not in ('PUBLISHED', 'RESERVED') or expire_time is not null)
);
create unique index listing_reference on listing (seller, reference) where reference is not null;
create unique index listing_on_offer on listing (machine_id)
    where state in ('PUBLISHED', 'RESERVED');
create index listing_machine on listing (machine_id, id desc);
create index listing_seller on listing (seller, id desc);
create index listing_seller_state on listing (seller, state, id desc);
create index listing_id_by_state on listing (state, id);

-- Search: each order alone, within a class, and within a make; then what narrows most.
create index listing_by_newest on listing (publish_time desc, id desc) where state = 'PUBLISHED';
create index listing_by_ask on listing (ask_fen, id) where state = 'PUBLISHED';
create index listing_by_hours on listing (hours_meter, id) where state = 'PUBLISHED';
create index listing_by_year on listing (build_year desc, id desc) where state = 'PUBLISHED';
create index listing_class_newest on listing (equipment_class, publish_time desc, id desc)
    where state = 'PUBLISHED';
create index listing_class_ask on listing (equipment_class, ask_fen, id)
    where state = 'PUBLISHED';
create index listing_class_hours on listing (equipment_class, hours_meter, id)
    where state = 'PUBLISHED';
create index listing_class_year on listing (equipment_class, build_year desc, id desc)
    where state = 'PUBLISHED';
create index listing_make_model
    on listing (upper(make), upper(model) text_pattern_ops, publish_time desc)
    where state = 'PUBLISHED';
create index listing_model on listing (upper(model) text_pattern_ops) where state = 'PUBLISHED';
create index listing_region on listing (upper(region), publish_time desc, id desc)
    where state = 'PUBLISHED';
create index listing_terms on listing using gin (search_terms) where state = 'PUBLISHED';

create table inspection (
    id uuid primary key,
    listing_id uuid not null references listing,
    machine_id uuid not null references machine,
    inspector_party text not null,
    inspector text not null,
    inspected_on date not null,
    grade text not null check (grade in ('EXCELLENT', 'VERY_GOOD', 'GOOD', 'FAIR', 'POOR')),
    hours_meter numeric(8, 2) not null,
    report jsonb not null,
    notes text not null,
    create_time timestamptz not null
);
create index inspection_listing on inspection (listing_id, id desc);

create table offer (
    id uuid primary key,
    version bigint not null default 1,
    listing_id uuid not null references listing,
    buyer text not null,
    amount_fen bigint not null check (amount_fen > 0),
    state text not null check (state in (
        'OPEN', 'ACCEPTED', 'REJECTED', 'WITHDRAWN', 'EXPIRED', 'ORDERED'
    )),
    expire_time timestamptz not null,
    listing_sequence bigint not null,
    create_time timestamptz not null,
    update_time timestamptz not null
);
create unique index offer_of_buyer on offer (listing_id, buyer)
    where state in ('OPEN', 'ACCEPTED', 'ORDERED');
create unique index offer_accepted on offer (listing_id) where state in ('ACCEPTED', 'ORDERED');
create index offer_listing on offer (listing_id, id desc);
create index offer_buyer on offer (buyer, id desc);

create table consent (
    id uuid primary key,
    version bigint not null default 1,
    event_sequence bigint not null default 1,
    party text not null,
    purpose text not null check (purpose in ('SALE_PRICE_LABEL')),
    state text not null check (state in ('ACTIVE', 'REVOKED')),
    text_version int not null,
    text_sha256 text not null,
    granted_by text not null,
    revoked_by text not null default '',
    create_time timestamptz not null,
    revoke_time timestamptz,
    update_time timestamptz not null
);
create unique index consent_active on consent (party, purpose) where state = 'ACTIVE';
create index consent_party on consent (party, purpose, id desc);

-- migrate:down
