-- migrate:up

-- The auction whose winner an order is for, and the disposal whose price leasing distributes.
alter table purchase_order add column auction text not null default '';
alter table purchase_order add column disposal text not null default '';
alter table purchase_order add column distributed_fen bigint check (distributed_fen >= 0);
-- A win has one order.
-- No order has one yet, so the index is made over no row.
-- squawk-ignore require-concurrent-index-creation
create unique index purchase_order_auction on purchase_order (auction) where auction <> '';

-- A settled order's escrow was paid out to the fen, what leasing distributed included.
-- squawk-ignore ban-drop-constraint
alter table purchase_order drop constraint purchase_order_check6;
-- squawk-ignore constraint-missing-not-valid
alter table purchase_order add constraint purchase_order_paid_out check (settle_time is null or (
    platform_fee_fen >= 0 and payoffs_fen >= 0 and seller_proceeds_fen >= 0
    and platform_fee_fen + payoffs_fen + seller_proceeds_fen + allowance_fen
        + coalesce(distributed_fen, 0) = total_fen
));

-- migrate:down
