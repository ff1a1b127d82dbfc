-- migrate:up

-- What was drawn before the watch began is looked at too: first its curve, then as the policy says.
insert into timer (kind, subject, due_at, payload)
select 'draw_revaluation', 'draws/' || id, update_time,
    '{"cause": "DRAWN", "description": "the first curve of a new draw"}'::jsonb
from draw where state = 'ACTIVE'
on conflict (kind, subject) do nothing;

-- migrate:down
