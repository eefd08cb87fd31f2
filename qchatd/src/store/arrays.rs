//! PostgreSQL's statements over arrays: one statement, prepared once, for however many rows. A list of values in the
//! statement itself would be another statement for each length, parsed and planned every time.

use std::marker::PhantomData;

use diesel::{
    PgConnection, QueryResult, RunQueryDsl,
    pg::Pg,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types::{Array, BigInt, Binary},
};

/// A column of the rows that go along.
pub(super) enum Column<'a> {
    /// Of `bytea`.
    Bytes(Vec<&'a [u8]>),
    /// Of `bigint`.
    Numbers(Vec<i64>),
}

/// `before`, then `unnest` of the columns, then `after`. `T` are the types of what it returns.
pub(super) struct OverArrays<'a, T = ()> {
    before: &'static str,
    columns: &'a [Column<'a>],
    after: &'static str,
    returns: PhantomData<T>,
}

impl<'a, T> OverArrays<'a, T> {
    /// All columns are of one length.
    pub(super) fn new(before: &'static str, columns: &'a [Column<'a>], after: &'static str) -> Self {
        Self { before, columns, after, returns: PhantomData }
    }
}

/// A statement of two parts, in one round trip: the first is a `WITH` that changes something.
pub(super) struct Both<'a, T>(OverArrays<'a>, OverArrays<'a, T>);

impl<'a> OverArrays<'a> {
    /// The main part, after this one.
    pub(super) fn then<T>(self, main: OverArrays<'a, T>) -> Both<'a, T> {
        Both(self, main)
    }
}

impl<T> QueryFragment<Pg> for Both<'_, T> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.0.walk_ast(out.reborrow())?;
        out.push_sql(" ");
        self.1.walk_ast(out)
    }
}

/// By its text, as [`OverArrays`].
impl<T> QueryId for Both<'_, T> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<T> Query for Both<'_, T> {
    type SqlType = T;
}

impl<T> RunQueryDsl<PgConnection> for Both<'_, T> {}

impl<T> QueryFragment<Pg> for OverArrays<'_, T> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(self.before);
        out.push_sql(" unnest(");
        for (at, column) in self.columns.iter().enumerate() {
            if at > 0 {
                out.push_sql(", ");
            }
            match column {
                Column::Bytes(values) => {
                    out.push_bind_param::<Array<Binary>, _>(values)?;
                    out.push_sql("::bytea[]");
                }
                Column::Numbers(values) => {
                    out.push_bind_param::<Array<BigInt>, _>(values)?;
                    out.push_sql("::bigint[]");
                }
            }
        }
        out.push_sql(") ");
        out.push_sql(self.after);
        Ok(())
    }
}

/// Its text tells it from others, in the connection's prepared statements.
impl<T> QueryId for OverArrays<'_, T> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<T> Query for OverArrays<'_, T> {
    type SqlType = T;
}

impl<T> RunQueryDsl<PgConnection> for OverArrays<'_, T> {}
