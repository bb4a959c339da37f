-- Numbers 0, 1, … that tell the processes on this journal apart, for stamps that no two of them may share.
create table slots (
    number bigint not null primary key,
    process text not null,
    until_us bigint not null
);
