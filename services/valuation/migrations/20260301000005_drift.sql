-- migrate:up transaction:false

-- Drift is read by model and month, the newest first.
create index concurrently if not exists label_model on label (model, sold_on desc) where state = 'LABEL';

-- migrate:down transaction:false
