//! A daemon that lies, floods, or says nothing.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use futures_util::{SinkExt, StreamExt};
use qchat_cli::net::{NetError, rest::Client, socket::Socket};
use qchat_proto::{
    ids::ServerId,
    wire::{
        frame::server_frame,
        limits,
        pb::{self, server_frame as server},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

const SERVER: ServerId = ServerId::from_bytes([7; 16]);

/// Serves every connection with `behaviour`, and gives a client of it.
async fn liar<F, R>(behaviour: F) -> Client
where
    F: Fn(TcpStream) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(behaviour(stream));
        }
    });
    Client::new(url.parse().expect("a URL"), Duration::from_secs(5)).expect("a client")
}

/// Reads a request's head.
async fn read_head(stream: &mut TcpStream) -> Vec<u8> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    head
}

/// Answers each request with these bytes, then repeats `flood` for as long as it is taken.
async fn answering(head: &'static str, flood: &'static [u8]) -> Client {
    liar(move |mut stream| async move {
        read_head(&mut stream).await;
        let mut going = stream.write_all(head.as_bytes()).await;
        while going.is_ok() && !flood.is_empty() {
            going = stream.write_all(flood).await;
        }
    })
    .await
}

#[tokio::test]
async fn a_false_answer_is_an_error_with_a_name() {
    const FLOOD: &[u8] = &[b' '; 65536];
    for (head, flood, named) in [
        ("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n", &[][..], "302"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", &[], "not what the protocol says"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", &[], "not what the protocol says"),
        ("HTTP/1.1 500 Oops\r\ncontent-length: 4\r\n\r\n<h1>", &[], "500"),
        ("HTTP/1.1 200 OK\r\n\r\n{", FLOOD, "too large"),
        ("HTTP/1.1 503 No\r\n\r\n{", FLOOD, "too large"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 90\r\n\r\n{", &[], "cannot be reached"),
        ("SSH-2.0-OpenSSH_9.2\r\n", &[], "cannot be reached"),
        ("", &[], "cannot be reached"),
    ] {
        let error = answering(head, flood).await.server().await.expect_err("an error").to_string();
        assert!(error.contains(named), "{head:?}: {error}");
    }
}

#[tokio::test]
async fn what_the_daemon_says_cannot_move_the_cursor() {
    let body = "{\"error\":{\"code\":\"rate_limited\",\"message\":\"later\\u001b[2J\\n\\u202eevil\",\"retry_after\":9}}";
    let head = format!("HTTP/1.1 429 Slow\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let head: &'static str = Box::leak(head.into_boxed_str());
    let client = answering(head, &[]).await;
    let refusals =
        [client.server().await.map(drop), Socket::connect(client.base(), "token", SERVER).await.map(drop)];
    for refusal in refusals {
        let Err(NetError::Fault(fault)) = refusal else { panic!("{refusal:?}") };
        assert_eq!((fault.code.as_str(), fault.retry_after), ("rate_limited", Some(9)));
        assert!(fault.message.starts_with("later"));
        assert!(!fault.message.contains(['\u{1b}', '\n', '\u{202e}']), "{:?}", fault.message);
    }
}

#[tokio::test]
async fn a_request_that_comes_too_early_waits_and_is_sent_again() {
    let asked = Arc::new(AtomicU32::new(0));
    let counted = asked.clone();
    let client = liar(move |mut stream| {
        let early = counted.fetch_add(1, Ordering::SeqCst) < 2;
        async move {
            read_head(&mut stream).await;
            let (status, body) = if early {
                (
                    "429 Slow",
                    r#"{"error":{"code":"rate_limited","message":"later","retry_after":1}}"#.to_owned(),
                )
            } else {
                let server = r#"{"server_id":"ID","version":"0","protocol_min":1,"protocol_max":1}"#;
                ("200 OK", server.replace("ID", &"07".repeat(16)))
            };
            let length = body.len();
            let answer =
                format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}");
            drop(stream.write_all(answer.as_bytes()).await);
        }
    })
    .await;
    assert_eq!(client.server().await.expect("an answer").server_id, SERVER);
    assert_eq!(asked.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_silent_server_runs_into_the_timeout() {
    let silent = liar(|stream| async move {
        let _open = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let url = format!("http://{}", silent.base().address()).parse().expect("a URL");
    let hasty = Client::new(url, Duration::from_millis(50)).expect("a client");
    assert!(matches!(hasty.server().await, Err(NetError::Timeout)));
}

/// A liar that completes the upgrade, reads the hello, and says these things.
async fn socket(says: fn() -> Vec<Message>) -> Result<Socket, NetError> {
    let client = liar(move |stream| async move {
        let mut socket: WebSocketStream<_> = match tokio_tungstenite::accept_async(stream).await {
            Ok(socket) => socket,
            Err(error) => panic!("no upgrade: {error}"),
        };
        let _hello = socket.next().await;
        for message in says() {
            drop(socket.send(message).await);
        }
        // Stays open: what ends a connection is the client's judgement.
        while let Some(Ok(_)) = socket.next().await {}
    })
    .await;
    Socket::connect(client.base(), "token", SERVER).await
}

fn ack(version: u32) -> Message {
    let ack = pb::HelloAck {
        version,
        server_id: SERVER.as_bytes().to_vec().into(),
        max_application: 1,
        max_handshake: 1,
    };
    Message::Binary(server_frame(server::Body::HelloAck(ack)))
}

fn fault(message: &str) -> pb::Fault {
    pb::Fault { code: "unavailable".to_owned(), message: message.to_owned(), retry_after: 0 }
}

#[tokio::test]
async fn a_false_hello_is_refused() {
    for (says, named) in [
        ((|| vec![ack(99)]) as fn() -> Vec<Message>, "version"),
        (|| vec![Message::Binary(vec![0xff; 9].into())], "bad frame"),
        (|| vec![Message::Binary(vec![0; limits::FRAME + 1].into())], "larger than the protocol allows"),
        (|| vec![Message::Binary(server_frame(server::Body::RoomHint(pb::RoomHint::default())))], "hello"),
        (|| vec![Message::Binary(server_frame(server::Body::Fault(fault("full\u{1b}[2J"))))], "full\\u{1b}"),
    ] {
        let error = socket(says).await.map(drop).expect_err("an error").to_string();
        assert!(error.contains(named) && !error.contains('\u{1b}'), "{named}: {error:?}");
    }
}

#[tokio::test]
async fn frames_of_the_future_are_passed_over_and_refusals_are_fit_for_a_terminal() {
    let mut socket = socket(|| {
        let refused = pb::Refused { fault: Some(fault("no\u{7}\nway")), ..pb::Refused::default() };
        vec![
            ack(1),
            // Field 99 of ServerFrame.
            Message::Binary(vec![0x9a, 0x06, 0x00].into()),
            Message::Ping("are you there".into()),
            Message::Binary(server_frame(server::Body::Refused(refused))),
            Message::Close(Some(CloseFrame { code: CloseCode::Restart, reason: "bye\u{1b}[2J".into() })),
        ]
    })
    .await
    .expect("a socket");
    match socket.recv().await.expect("the refusal") {
        server::Body::Refused(refused) => {
            let message = refused.fault.expect("a fault").message;
            assert!(message.starts_with("no") && !message.contains(['\u{7}', '\n']), "{message:?}");
        }
        other => panic!("{other:?}"),
    }
    let closed = socket.recv().await.expect_err("an end").to_string();
    assert!(closed.contains("1012 bye") && !closed.contains('\u{1b}'), "{closed:?}");
}

#[tokio::test]
async fn a_connection_without_a_sign_of_life_is_dead_after_45_seconds() {
    let mut socket = socket(|| vec![ack(1)]).await.expect("a socket");
    tokio::time::pause();
    let before = tokio::time::Instant::now();
    assert!(matches!(socket.recv().await, Err(NetError::Timeout)));
    assert!(before.elapsed() <= Duration::from_secs(46), "{:?}", before.elapsed());
}
