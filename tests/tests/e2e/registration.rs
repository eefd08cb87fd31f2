//! A registration whose process is killed while the daemon answers it.

use std::sync::mpsc::channel;

use qchat_tests::{
    client::{self, Client},
    daemon::Daemon,
    database::Backend,
    proxy::{Answer, Proxy},
};

#[test]
fn a_registration_that_is_killed_before_its_answer_is_taken_up_again() {
    let daemon = Daemon::start(Backend::Sqlite);
    let proxy = Proxy::start(daemon.address());
    let (answered, carried_out) = channel();
    let (killed, is_killed) = channel::<()>();
    let mut wait = Some(is_killed);
    proxy.at_requests(move |request| {
        if !request.is("POST", "/v1/accounts") {
            return Answer::Genuine;
        }
        let (answered, is_killed) = (answered.clone(), wait.take().expect("one registration"));
        Answer::Changed(Box::new(move |session| {
            let _ = answered.send(());
            let _ = is_killed.recv();
            session
        }))
    });
    let mut alice = Client::new(&proxy.url(), "alice");
    let recovery = alice.recovery_file();
    let register = ["register", "alice", "--recovery-file", recovery.to_str().expect("a UTF-8 path")];
    let mut registering = alice.start(&register);
    carried_out.recv().expect("the daemon has carried it out");
    registering.kill();
    drop(killed);

    proxy.at_requests(|_| Answer::Genuine);
    let second = alice.file("second-recovery");
    let again = ["register", "alice", "--recovery-file", second.to_str().expect("a UTF-8 path")];
    let said = alice.run(&again).expect_code(0).stderr;
    assert!(said.contains("recovery words"), "that there are none to be shown is said: {said}");
    let created = proxy.requests().into_iter().filter(|request| request.is("POST", "/v1/accounts")).count();
    assert_eq!(created, 1, "the account is the one that was created");

    alice.set_server(&daemon.url());
    let bob = Client::register(&daemon.url(), "bob");
    client::room("tea", &[&bob, &alice]);
    alice.ok(&["send", "tea", "here after all"]);
    assert_eq!(bob.bodies("tea"), ["here after all"]);
}
