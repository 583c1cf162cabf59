// SPDX-License-Identifier: GPL-3.0-or-later
//! The client against a peer in this process that speaks, or breaks, the bytes of the protocol.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::time::{Duration, Instant};

use blendwire_client::{Blender, ClientError, Endpoint, Outcome, Refusal, ServerKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

async fn listen() -> (TcpListener, Blender) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, Blender::connect_lazily(Endpoint::new("127.0.0.1", port)))
}

/// Reads up to the NUL and gives what stood before it.
async fn request(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    loop {
        match stream.read_u8().await {
            Ok(0) | Err(_) => return String::from_utf8(text).unwrap(),
            Ok(byte) => text.push(byte),
        }
    }
}

async fn answer(stream: &mut TcpStream, text: &str) {
    stream.write_all(format!("{text}\0").as_bytes()).await.unwrap();
}

fn result_of(outcome: Outcome) -> String {
    match outcome {
        Outcome::Finished { result, .. } => result.get().to_owned(),
        Outcome::Failed { message, .. } => panic!("{message}"),
    }
}

#[tokio::test]
async fn one_connection_carries_call_after_call() {
    let (listener, blender) = listen().await;
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        for number in 1..=3 {
            let sent: serde_json::Value = serde_json::from_str(&request(&mut stream).await).unwrap();
            assert_eq!((&sent["type"], &sent["code"]), (&"execute".into(), &"x".into()));
            assert!(sent["id"].is_string() && sent["timeout_secs"].is_null(), "{sent}");
            let id = &sent["id"];
            answer(&mut stream, &format!(r#"{{"id": {id}, "status": "ok", "result": {number}, "stdout": ""}}"#)).await;
        }
    });
    for number in 1..=3 {
        assert_eq!(result_of(blender.execute("x").await.unwrap()), number.to_string());
    }
    assert_eq!(blender.server(), Some(ServerKind::Blendwire));
    server.await.unwrap();
}

/// As the official connector's add-on does, which ends a connection a moment after its reply.
#[tokio::test]
async fn a_server_that_gives_no_id_back_gets_a_connection_for_each_call() {
    let (listener, blender) = listen().await;
    let server = tokio::spawn(async move {
        let mut open = Vec::new();
        for number in 1..=3 {
            let (mut stream, _) = listener.accept().await.unwrap();
            request(&mut stream).await;
            answer(&mut stream, &format!(r#"{{"status": "ok", "result": {number}, "stdout": ""}}"#)).await;
            open.push(stream);
        }
    });
    for number in 1..=3 {
        assert_eq!(result_of(blender.execute("x").await.unwrap()), number.to_string());
        assert_eq!(blender.server(), Some(ServerKind::Official));
    }
    server.await.unwrap();
}

#[tokio::test]
async fn a_connection_that_broke_between_calls_is_opened_again() {
    let (listener, blender) = listen().await;
    let (closed, was_closed) = tokio::sync::oneshot::channel();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        request(&mut stream).await;
        answer(&mut stream, r#"{"status": "ok", "result": 1, "stdout": ""}"#).await;
        stream.shutdown().await.unwrap();
        drop(stream);
        closed.send(()).unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        request(&mut stream).await;
        answer(&mut stream, r#"{"status": "ok", "result": 2, "stdout": ""}"#).await;
    });
    assert_eq!(result_of(blender.execute("x").await.unwrap()), "1");
    was_closed.await.unwrap();
    assert_eq!(result_of(blender.execute("x").await.unwrap()), "2");
    server.await.unwrap();
}

#[tokio::test]
async fn a_request_whose_answer_was_cut_off_is_never_sent_again() {
    let (listener, blender) = listen().await;
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        request(&mut stream).await;
        stream.write_all(br#"{"status": "ok", "res"#).await.unwrap();
        drop(stream);
        tokio::time::timeout(Duration::from_millis(300), listener.accept()).await.is_err()
    });
    let error = blender.execute("bpy.ops.wm.save_mainfile()").await.unwrap_err();
    assert!(matches!(error, ClientError::OutcomeUnknown { .. }), "{error}");
    assert!(error.to_string().contains("unknown whether the request ran"));
    assert!(error.to_string().contains("check --port"), "another program may hold the port: {error}");
    assert!(server.await.unwrap(), "the client connected again by itself");
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_no_late_answer_to_the_next() {
    let (listener, blender) = listen().await;
    let server = tokio::spawn(async move {
        let (mut first, _) = listener.accept().await.unwrap();
        request(&mut first).await;
        let (mut second, _) = listener.accept().await.unwrap();
        request(&mut second).await;
        answer(&mut second, r#"{"status": "ok", "result": "second", "stdout": ""}"#).await;
    });
    let impatient = tokio::time::timeout(Duration::from_millis(100), blender.execute("slow")).await;
    assert!(impatient.is_err());
    assert_eq!(result_of(blender.execute("quick").await.unwrap()), "\"second\"");
    server.await.unwrap();
}

#[tokio::test]
async fn status_is_answered_while_a_script_runs() {
    let (listener, blender) = listen().await;
    let server = tokio::spawn(async move {
        let (mut script, _) = listener.accept().await.unwrap();
        request(&mut script).await;
        let (mut question, _) = listener.accept().await.unwrap();
        assert_eq!(request(&mut question).await, r#"{"type":"ping"}"#);
        answer(&mut question, r#"{"status": "ok", "result": {}, "stdout": ""}"#).await;
        answer(&mut script, r#"{"status": "ok", "result": 7, "stdout": ""}"#).await;
    });
    let (script, ping) = tokio::join!(blender.execute("long"), blender.ping());
    ping.unwrap();
    assert_eq!(result_of(script.unwrap()), "7");
    server.await.unwrap();
}

#[tokio::test]
async fn nothing_listening_says_what_to_do() {
    let (listener, blender) = listen().await;
    drop(listener);
    let error = blender.execute("x").await.unwrap_err();
    assert!(matches!(error, ClientError::Refused { .. }), "{error}");
    assert!(error.to_string().contains("blendwire launch"), "{error}");
}

#[tokio::test]
async fn localhost_finds_a_server_on_ipv6_alone() {
    let Ok(listener) = TcpListener::bind("[::1]:0").await else {
        println!("not tried: this machine has no IPv6 loopback");
        return;
    };
    let blender = Blender::connect_lazily(Endpoint::new("localhost", listener.local_addr().unwrap().port()));
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        request(&mut stream).await;
        answer(&mut stream, r#"{"status": "ok", "result": {}, "stdout": ""}"#).await;
    });
    blender.ping().await.unwrap();
    server.await.unwrap();
}

#[tokio::test]
async fn an_http_server_is_told_apart() {
    let (listener, blender) = listen().await;
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    });
    let error = blender.execute("x").await.unwrap_err();
    assert!(matches!(error, ClientError::NotOurProtocol { .. }), "{error}");
    assert!(error.to_string().contains("HTTP/1.1 400 Bad Request"), "{error}");
}

#[tokio::test]
async fn a_server_without_status_is_named_as_such() {
    let (listener, blender) = listen().await;
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        request(&mut stream).await;
        answer(&mut stream, r#"{"status": "error", "message": "Unknown request type"}"#).await;
    });
    let error = blender.status().await.unwrap_err();
    assert!(matches!(error, ClientError::Unsupported { .. }), "{error}");
    assert!(error.to_string().contains("Unknown request type"), "{error}");
}

#[tokio::test]
async fn a_server_of_ours_is_known_by_what_it_refuses_and_by_a_status_of_another_shape() {
    for (answered, expected) in [
        (r#"{"status": "error", "message": "full", "error": {"code": "busy", "message": "full", "hint": ""}}"#, "full"),
        (r#"{"status": "ok", "result": {"versions": {"core": "9.8.7"}}, "stdout": ""}"#, "Blendwire 9.8.7"),
    ] {
        let (listener, blender) = listen().await;
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            request(&mut stream).await;
            answer(&mut stream, answered).await;
        });
        let error = blender.status().await.unwrap_err();
        let is_it = |error: &ClientError| match error {
            ClientError::TurnedAway { refusal, .. } => *refusal == Refusal::TooMany,
            error => matches!(error, ClientError::OtherVersion { .. }),
        };
        assert!(is_it(&error) && error.to_string().contains(expected), "{error}");
        assert_eq!(blender.server(), Some(ServerKind::Blendwire));
    }
}

#[tokio::test]
async fn a_refusal_is_read_while_a_long_request_is_still_being_written() {
    let (listener, blender) = listen().await;
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_u8().await.unwrap();
        answer(&mut stream, r#"{"status": "error", "message": "too long"}"#).await;
        tokio::time::sleep(Duration::from_secs(30)).await;
    });
    let outcome = blender.execute(&"#".repeat(32 << 20)).await.unwrap();
    assert!(matches!(outcome, Outcome::Failed { message, stdout: None, .. } if message == "too long"));
}

#[tokio::test]
async fn a_hundred_megabytes_arrive_whole() {
    const SIZE_BYTES: usize = 100 << 20;
    let (listener, blender) = listen().await;
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        request(&mut stream).await;
        let text = "x".repeat(SIZE_BYTES);
        answer(&mut stream, &format!(r#"{{"status": "ok", "result": "{text}", "stdout": ""}}"#)).await;
    });
    let start = Instant::now();
    assert_eq!(result_of(blender.execute("x").await.unwrap()).len(), SIZE_BYTES + 2);
    println!("100 MiB took {:.2} s", start.elapsed().as_secs_f64());
}
