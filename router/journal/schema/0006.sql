-- What an operator asks at three in the morning: where an attempt went, what the venue answered, in which pod; what was
-- refused without a row of its own.

alter table attempts add column endpoint text;
alter table attempts add column http_status bigint;
alter table attempts add column pod text;
alter table evidence add column endpoint text;
alter table evidence add column http_status bigint;
alter table evidence add column pod text;
alter table history add column pod text;
alter table outbox add column pod text;
create index events_of_order on events (venue, account, order_id);

-- By its client order id a close is known whose order id was never heard: also one that was refused, and executed.
alter table commands add column client_order_id text;
update commands set client_order_id = uuid_in(job, 'client_order_id') where action = 'close' and order_id is null
    and state <> 'given_up';
create index commands_by_client_id on commands (client_order_id)
    where client_order_id is not null and order_id is null and action = 'close';

-- Refusals that are not stored under a command: a foreign sender, a reused id, a body that cannot be read. Kept for a day.
create table refusals (
    at_us bigint not null,
    sender text not null,
    command_id text,
    code text not null,
    message text not null,
    reply_to text not null,
    correlation_id text not null,
    routing_key text not null,
    pod text not null
);

create index refusals_at on refusals (at_us);
