//! What the key directory costs: a registration, a look-up with its proof, the proof's size, and appending what was there
//! before.
//!
//! `cargo build --release && cargo bench -p qchat-tests --bench directory -- 1000 100000`
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark prints, and may panic")]

use std::{
    env,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use qchat_proto::wire::api::Directory;
use qchat_tests::{daemon::Daemon, database::Backend, device::Device, http};

const LOOKUPS: usize = 200;
const REGISTRATIONS: usize = 20;

fn line(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let millis = |place: usize| times[place].as_secs_f64() * 1000.0;
    let (best, median, worst) = (millis(0), millis(times.len() / 2), millis(times.len() - 1));
    println!("  {what:<42} median {median:7.2} ms   best {best:7.2}   worst {worst:7.2}   n={}", times.len());
}

/// What a look-up answers once it is in the directory, and how long that took.
async fn look(url: &str, token: &str, name: &str) -> (Directory, usize, Duration) {
    let start = Instant::now();
    loop {
        let request = http::client().get(format!("{url}/v1/accounts/by-name/{name}")).bearer_auth(token);
        let body = request.send().await.unwrap().bytes().await.unwrap();
        let answer: Directory = serde_json::from_slice(&body).unwrap();
        if answer.proof.is_some() {
            return (answer, body.len(), start.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until no epoch has come for a while; that while.
async fn settled(url: &str, token: &str) -> Duration {
    let (mut newest, mut since) = (String::new(), Instant::now());
    while since.elapsed() < Duration::from_secs(3) {
        let request = http::client().get(format!("{url}/v1/directory/head")).bearer_auth(token);
        let head = request.send().await.unwrap().text().await.unwrap();
        if head != newest {
            (newest, since) = (head, Instant::now());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    since.elapsed()
}

async fn measure(accounts: usize) {
    let mut daemon = Daemon::start(Backend::Sqlite);
    daemon.stop();
    // As many accounts as that, of records that are none: nobody looks at them but the directory, which takes their hashes.
    daemon.execute(&format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {accounts}) \
         INSERT INTO accounts (id, name, record, device_list, device_list_version, auth_salt, verifier_salt, verifier, \
         created_at) SELECT randomblob(16), 'person-' || i, randomblob(12000), randomblob(4800), 1, randomblob(16), \
         randomblob(16), randomblob(32), 0 FROM n"
    ));
    daemon.restart();
    let begun = Instant::now();
    let device = Device::register(&daemon.url(), "looker").await;
    let (url, token) = (daemon.url(), device.session.access_token.clone());
    look(&url, &token, "looker").await;
    let quiet = settled(&url, &token).await;
    println!("{accounts} accounts");
    println!(
        "  all of them appended after                 {:.1} s",
        (begun.elapsed().saturating_sub(quiet)).as_secs_f64()
    );

    let mut lookups = vec![];
    let mut sizes = vec![];
    for nth in 0..LOOKUPS {
        let (answer, _, took) = look(&url, &token, &format!("person-{}", nth * accounts / LOOKUPS + 1)).await;
        let proof = answer.proof.unwrap();
        sizes.push(proof.name.proof.as_ref().len() + proof.account.proof.as_ref().len());
        lookups.push(took);
    }
    line("a look-up by name, with both proofs", lookups);
    sizes.sort_unstable();
    let median = sizes[sizes.len() / 2];
    let written = URL_SAFE_NO_PAD.encode(vec![0; median + 2 * 32 + 3566]).len();
    println!("  bytes of both proofs, median               {median}; with salts and head, in JSON {written}");

    let (mut registrations, mut published) = (vec![], vec![]);
    for nth in 0..REGISTRATIONS {
        let start = Instant::now();
        Device::register(&url, &format!("newcomer-{nth}")).await;
        registrations.push(start.elapsed());
        published.push(look(&url, &token, &format!("newcomer-{nth}")).await.2);
        // So that no epoch waits for the next second.
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    line("a registration, the client's keys included", registrations);
    line("then until it is proved", published);
}

fn main() {
    let sizes: Vec<usize> = env::args().skip(1).filter_map(|size| size.parse().ok()).collect();
    let sizes = if sizes.is_empty() { vec![1_000] } else { sizes };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for size in sizes {
        runtime.block_on(measure(size));
    }
}
