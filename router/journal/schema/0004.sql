-- One clock, an account's places, a queue of its own for each reply address, and a witness outside.
-- `json_text(column, 'name')` stands for a member of a JSON object as text; each back end spells it its own way.

-- The journal's clock, one row: `offset_us` is what is added to the clock below it (the boot clock of the machine named by
-- `boot_id`, or the server's), `seen_us` the highest time that was ever on disk, `since_us` since when it has gone on without
-- a break.
create table clock (
    number bigint not null primary key,
    boot_id text not null,
    offset_us bigint not null,
    seen_us bigint not null,
    since_us bigint not null
);

-- A name that no other journal has; one row.
create table identity (
    number bigint not null primary key,
    journal_id text not null
);

-- Marks that the witness keeps too.
create table marks (
    id text not null primary key,
    at_us bigint not null
);
create index marks_at on marks (at_us);

-- What a due command needs a place for (router.job.Kind), and from when on it needs no venue: its deadline, as long as
-- nothing was sent for it.
alter table commands add column kind text not null default 'act';
alter table commands add column own_us bigint;
update commands set kind = case json_text(job, 'step') when 'look' then 'look' when 'await' then 'look'
    when 'find' then 'own' else 'act' end where state <> 'given_up' and next_us is not null;
drop index commands_due;
create index commands_due on commands (next_us) where next_us is not null;
create index commands_places on commands (venue, account, kind, next_us) where next_us is not null;

-- Each reply queue has its own line, and may be paused.
alter table outbox add column reply_to text not null default '';
update outbox set reply_to = json_text(reply, 'reply_to') where confirmed_us is null;
drop index outbox_waiting;
create index outbox_waiting on outbox (reply_to, next_us) where confirmed_us is null;
create table pauses (
    reply_to text not null primary key,
    until_us bigint not null,
    since_us bigint not null
);

-- Messages that came again, while they are handled: what stands here for long has ended a process.
create table suspects (
    message text not null primary key,
    pod text not null,
    ended bigint not null,
    at_us bigint not null
);
