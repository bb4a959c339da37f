-- How the processes of this journal share the venues' limits: which of them live, and who holds how many places.

create table limit_pods (
    pod text not null primary key,
    until_us bigint not null,
    -- The last report that was taken. A transaction that hung is not to be taken after it.
    report bigint not null
);

-- `shares` is a record in JSON. Until `hot_us` every process looks at it: some lack places that others have, or the venue
-- wants to hear nothing for a while.
create table limit_shares (
    scope text not null primary key,
    shares text not null,
    hot_us bigint not null
);

create index limit_shares_hot on limit_shares (hot_us);
