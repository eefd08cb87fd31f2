//! Descriptions of devices that jobs imitate: each is stored once, under its digest, for as long as a job names it.

use aws_lc_rs::digest::{SHA256, digest};
use diesel::prelude::*;

use super::{
    QuantumStore, StoreError,
    schema::{devices, jobs},
};

/// What a description is named by: its SHA-256 in hexadecimal digits.
pub fn digest_of(properties: &str) -> String {
    use std::fmt::Write as _;

    digest(&SHA256, properties.as_bytes()).as_ref().iter().fold(String::new(), |mut digits, byte| {
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

impl QuantumStore {
    /// The description with this digest, if a job names it.
    ///
    /// # Errors
    /// What the database says.
    pub fn device(&self, digest: &str) -> Result<Option<String>, StoreError> {
        self.read(|conn| {
            let of = devices::table.filter(devices::digest.eq(digest)).select(devices::properties);
            Ok(of.get_result(conn).optional()?)
        })
    }

    /// The digests of all descriptions.
    ///
    /// # Errors
    /// What the database says.
    pub fn devices(&self) -> Result<Vec<String>, StoreError> {
        self.read(|conn| Ok(devices::table.select(devices::digest).order(devices::id).load(conn)?))
    }
}

/// Stores a description, if it is not there yet; gives its digest.
pub(super) fn keep(conn: &mut SqliteConnection, properties: &str) -> Result<String, StoreError> {
    let digest = digest_of(properties);
    let known = devices::table.filter(devices::digest.eq(&digest)).count().get_result::<i64>(conn)?;
    if known == 0 {
        diesel::insert_into(devices::table)
            .values((devices::digest.eq(&digest), devices::properties.eq(properties)))
            .execute(conn)?;
    }
    Ok(digest)
}

/// Deletes descriptions that no job names any more.
pub(super) fn sweep(conn: &mut SqliteConnection) -> Result<(), StoreError> {
    let named: Vec<Option<String>> =
        jobs::table.filter(jobs::device.is_not_null()).select(jobs::device).distinct().load(conn)?;
    let named: Vec<String> = named.into_iter().flatten().collect();
    diesel::delete(devices::table.filter(devices::digest.ne_all(named))).execute(conn)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use qchat_proto::crypto::{entropy::SystemEntropy, secret::Secret};

    use super::*;
    use crate::store::quantum::{Job, JobId, NewJob, State};

    const TEXT: &str = r#"{"backend_name":"two","qubits":[],"gates":[]}"#;

    fn open(dir: &Path) -> QuantumStore {
        QuantumStore::open(dir, Secret::from_bytes([1; 32])).unwrap()
    }

    fn add(store: &QuantumStore, device: Option<&str>) -> Job {
        let stored = device.map_or_else(
            || "{}".to_owned(),
            |device| format!(r#"{{"noise":{{"stored":"{}"}}}}"#, digest_of(device)),
        );
        let job = NewJob { task: &stored, backend: "local", device, ..NewJob::default() };
        store.add_job(JobId::random(&SystemEntropy).unwrap(), &job).unwrap()
    }

    fn end(store: &QuantumStore, job: &Job) {
        store.advance(job.id, &[State::Prepared], State::Failed, None, None).unwrap();
    }

    #[test]
    fn a_description_is_there_once_and_as_long_as_a_job_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let jobs = [add(&store, Some(TEXT)), add(&store, Some(TEXT)), add(&store, None)];
        assert_eq!(store.devices().unwrap(), [digest_of(TEXT)]);
        for job in &jobs {
            end(&store, job);
        }
        assert_eq!(store.forget_jobs(&[jobs[0].id]).unwrap(), [jobs[0].id]);
        assert_eq!(store.device(&digest_of(TEXT)).unwrap().as_deref(), Some(TEXT));
        store.forget_jobs(&[jobs[1].id, jobs[2].id]).unwrap();
        assert_eq!(store.devices().unwrap(), [""; 0]);
        assert!(store.jobs().unwrap().is_empty());
    }
}
