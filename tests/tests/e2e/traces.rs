//! One request, or one message, in the logs of both sides.

use std::collections::BTreeSet;

use qchat_proto::wire::fault::FaultCode;
use qchat_tests::{
    client::{self, Client},
    daemon::Daemon,
    database::Backend,
    proxy::{Answer, Proxy},
};
use serde_json::Value;

/// What follows `name=` anywhere in a log for people.
fn values<'l>(log: &'l str, name: &str) -> BTreeSet<&'l str> {
    let rest = log.split(name).skip(1);
    rest.filter_map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric()).next()).collect()
}

#[test]
fn what_a_client_logs_is_found_in_the_daemons_log() {
    let daemon = Daemon::start(Backend::Sqlite);
    let alice = Client::register(&daemon.url(), "alice");
    client::room("tea", &[&alice]);
    let output = alice.run(&["-vv", "send", "tea", "hello"]).expect_code(0);
    let (traces, messages) = (values(&output.stderr, "trace="), values(&output.stderr, "message_id="));
    // The session is there already: one socket, and what its client asks besides.
    assert!(!traces.is_empty() && messages.len() == 1, "{}", output.stderr);
    let log = daemon.log();
    let there: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    for trace in traces {
        assert_eq!(trace.len(), 32, "{trace}");
        let spans = there.iter().filter_map(|line| line["spans"].as_array()).flatten();
        assert!(spans.into_iter().any(|span| span["trace"] == *trace), "{trace} is not in the daemon's log");
    }
    for id in messages {
        assert!(there.iter().any(|line| line["message_id"] == *id), "{id} is not in the daemon's log");
    }
}

#[test]
fn a_failure_of_the_daemons_own_is_told_with_what_finds_it_in_its_log() {
    let daemon = Daemon::start(Backend::Sqlite);
    let proxy = Proxy::start(daemon.address());
    let alice = Client::register(&proxy.url(), "alice");
    client::room("tea", &[&alice]);
    for (code, told) in [(FaultCode::Internal, 1), (FaultCode::NotFound, 0)] {
        proxy.at_requests(move |request| {
            if request.path.starts_with("/v1/accounts/by-name/") {
                Answer::fault(code)
            } else {
                Answer::Genuine
            }
        });
        let output = alice.run(&["-v", "room", "invite", "tea", "bob"]);
        assert_ne!(output.code, Some(0), "{output:?}");
        let found = values(&output.stderr, "finds it as ");
        assert_eq!(found.len(), told, "{output:?}");
        assert!(found.is_subset(&values(&output.stderr, "trace=")), "{output:?}");
    }
}
