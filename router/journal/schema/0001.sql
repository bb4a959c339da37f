-- The journal. It runs unchanged on SQLite and PostgreSQL: text and bigint only, JSON as text, no vendor's words.
-- Times are microseconds since 1970, UTC.
-- `now_us()` stands for the database's clock; each back end spells it its own way.

-- One row per start of this journal's history. A second one says that what came before may be incomplete.
-- `timeline` is what the back end can tell two histories apart by; `seen_us` is where a write is tried out.
create table epochs (
    began_us bigint not null primary key,
    timeline text not null,
    seen_us bigint not null
);

-- The key begins with the command id because it is what people search by.
-- `job` is the whole router.job.Job as JSON; the columns beside it repeat what is searched, fenced or ordered by.
-- `position` is set while a close holds it, so it is not always the job's. `reply` is where the first delivery is
-- answered, `asked` how many deliveries of that address wait for the first result, `joined` how often deliveries
-- of other addresses came. State 'given_up' marks a close that a cancel stopped waiting for; it has no job.
create table commands (
    command_id text not null,
    sender text not null,
    digest text not null,
    venue text not null,
    account text not null,
    action text not null,
    symbol text,
    position text,
    state text not null,
    version bigint not null,
    next_us bigint,
    order_id text,
    received_us bigint not null,
    updated_us bigint not null,
    reply text not null,
    asked bigint not null,
    joined bigint not null,
    job text not null,
    primary key (command_id, sender)
);

-- One close per position, across all processes.
create unique index commands_position on commands (venue, account, position) where position is not null;
create index commands_due on commands (venue, next_us) where next_us is not null;
create index commands_live on commands (venue, account, symbol) where state in ('open', 'in_doubt', 'unresolved');
create index commands_settled on commands (updated_us) where state in ('final', 'given_up');
create index commands_order on commands (venue, account, received_us) where order_id is not null and action = 'close';

-- What follows begins its key with the command's time: new rows then lie side by side, so that the next command
-- touches as few pages in a journal of a million as in an empty one.

-- Addresses of deliveries that joined a command, beside the first one. `address` is JSON: reply_to, correlation_id.
create table replies (
    received_us bigint not null,
    command_id text not null,
    sender text not null,
    address text not null,
    asked bigint not null,
    reply text not null,
    primary key (received_us, command_id, sender, address)
);

create table attempts (
    received_us bigint not null,
    command_id text not null,
    sender text not null,
    number bigint not null,
    started_us bigint not null,
    ended_us bigint,
    outcome text,
    venue_code text,
    message text,
    sent_us bigint,
    primary key (received_us, command_id, sender, number)
);

create unique index attempts_open on attempts (command_id, sender) where ended_us is null;

-- What an attempt came to, seen by somebody who no longer was the one to decide.
create table evidence (
    received_us bigint not null,
    command_id text not null,
    sender text not null,
    at_us bigint not null,
    number bigint not null,
    outcome text not null,
    venue_code text,
    message text not null,
    sent_us bigint
);

create index evidence_command on evidence (received_us, command_id, sender);

-- Results: one row per copy that somebody is owed. `next_us` holds a row back from those who look for leftovers.
create table outbox (
    received_us bigint not null,
    command_id text not null,
    sender text not null,
    seq bigint not null,
    copy bigint not null,
    reply text not null,
    result text not null,
    created_us bigint not null,
    next_us bigint not null,
    confirmed_us bigint,
    primary key (received_us, command_id, sender, seq, copy)
);

create index outbox_waiting on outbox (next_us) where confirmed_us is null;

-- Append-only.
create table history (
    received_us bigint not null,
    command_id text not null,
    sender text not null,
    at_us bigint not null,
    event text not null,
    detail text not null
);

create index history_command on history (received_us, command_id, sender);
