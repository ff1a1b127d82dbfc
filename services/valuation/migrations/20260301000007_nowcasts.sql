-- migrate:up

-- What a nowcast is made of: sums of ln(paid ÷ predicted) over the labels of a month, kept with
-- each label, so that no value reads labels.
create table nowcast_month (
    model text not null,
    product_group text not null,
    month date not null check (extract(day from month) = 1),
    sales bigint not null check (sales > 0),
    total double precision not null,
    squares double precision not null,
    primary key (model, product_group, month)
);
insert into nowcast_month
select
    model,
    product_group,
    date_trunc('month', sold_on)::date as month,
    count(*) as sales,
    sum(-log_error) as total,
    sum(log_error * log_error) as squares
from label where state = 'LABEL'
group by model, product_group, date_trunc('month', sold_on)::date;

-- A batch's nowcasts, by product group, as its rows were valued with.
alter table batch add column nowcasts jsonb not null default '{}';

-- migrate:down
