//! `quantum usage`: what quantum computers have taken, and may take.

use qchat_proto::sanitize;
use serde::Serialize;

use super::{ibm, jobs as open_jobs};
use crate::{
    cli::{Context, failure::Outcome},
    quantum::{QuantumError, jobs::month_began},
    store::quantum::QuantumStore,
};

/// Seconds of quantum computers.
#[derive(Serialize)]
struct UsageObject<'a> {
    v: u8,
    /// By the instance, in its period; no limit where there is none.
    used_seconds: f64,
    limit_seconds: Option<f64>,
    remaining_seconds: Option<f64>,
    reached: bool,
    period: Option<[&'a str; 2]>,
    /// By jobs of this profile, this calendar month in UTC, those that have not ended with what they may take at most.
    spent_seconds: f64,
    budget_seconds: f64,
}

pub(super) async fn show(context: &Context) -> Outcome {
    let jobs = open_jobs(context).await?;
    let cloud = ibm::expect_cloud(context).await?;
    let usage = ibm::usage(context, &cloud).await?;
    let month = month_began();
    let spent = jobs.store().with(move |store: &QuantumStore| store.seconds_since(month)).await;
    let object = UsageObject {
        v: 1,
        used_seconds: usage.consumed,
        limit_seconds: usage.limit,
        remaining_seconds: usage.remaining,
        reached: usage.reached,
        period: usage.period.as_ref().map(|(begin, end)| [&**begin, &**end]),
        spent_seconds: spent.map_err(QuantumError::from)?,
        budget_seconds: cloud.budget(),
    };
    Ok(context.output.result(&object, || words(&object))?)
}

fn words(object: &UsageObject<'_>) -> String {
    let limit = object.limit_seconds.map_or_else(String::new, |limit| format!(" of {limit:.0}"));
    let left = match object.remaining_seconds {
        _ if object.reached => ", and takes no more jobs".to_owned(),
        Some(left) => format!(", {left:.0} are left"),
        None => String::new(),
    };
    let period = object.period.map_or_else(String::new, |[begin, end]| format!(" from {begin} to {end}"));
    let instance = format!("instance  {:.0}{limit} s used{period}{left}", object.used_seconds);
    format!(
        "{}\nbudget    {:.0} of {:.0} s spent this month",
        sanitize::line(&instance),
        object.spent_seconds,
        object.budget_seconds
    )
}
