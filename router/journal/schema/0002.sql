-- Order events. See 0001.sql for what is agreed: text and bigint only, JSON as text, times in microseconds.

-- Who feeds an account, and where its feed stands. `fence` grows with every owner; whoever stores an event names the
-- fence it was given. `seq` is the last number given to an event, `published_seq` the last one the broker has
-- confirmed with all before it, `complete_us` when everything the venue had was last known to be recorded.
create table feeds (
    venue text not null,
    account text not null,
    owner text not null,
    fence bigint not null,
    until_us bigint not null,
    seq bigint not null,
    published_seq bigint not null,
    complete_us bigint not null,
    primary key (venue, account)
);

-- When the next paced frame may leave for a venue, from whichever process.
create table feed_paces (
    venue text not null primary key,
    free_us bigint not null
);

-- The symbols an account was ever seen to trade: some venues' reads need one.
create table feed_symbols (
    venue text not null,
    account text not null,
    symbol text not null,
    primary key (venue, account, symbol)
);

-- What is known of each order: `record` is a router.history.OrderRecord as JSON.
create table orders (
    venue text not null,
    account text not null,
    order_id text not null,
    final bigint not null,
    updated_us bigint not null,
    record text not null,
    primary key (venue, account, order_id)
);

create index orders_open on orders (venue, account, updated_us) where final = 0;
create index orders_final on orders (updated_us) where final = 1;

-- One row per event, in the order of the account's topic. `copies` says whose reply queues hear of it as well.
create table events (
    venue text not null,
    account text not null,
    seq bigint not null,
    order_id text not null,
    created_us bigint not null,
    event text not null,
    copies text not null,
    primary key (venue, account, seq)
);

create index events_created on events (created_us);

-- Which commands are about an order.
create index commands_of_order on commands (venue, account, order_id) where order_id is not null;
