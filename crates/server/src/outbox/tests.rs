//! A collector of a few lines, which does as each test says.

use std::sync::Mutex;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// What a collector was sent: each request's head and body.
type Heard = Arc<Mutex<Vec<(String, String)>>>;

/// Answers with these statuses, the last one for ever.
async fn collector(statuses: &'static [u16]) -> (Url, Heard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}/in", listener.local_addr().unwrap())).unwrap();
    let heard = Heard::default();
    let log = Arc::clone(&heard);
    tokio::spawn(async move {
        for number in 0.. {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut text = String::new();
            let (head, length) = loop {
                let mut bytes = [0; 4096];
                let read = stream.read(&mut bytes).await.unwrap();
                assert_ne!(read, 0, "the request ended early: {text}");
                text.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
                let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                let head = head.to_ascii_lowercase();
                let length = head.split("content-length: ").nth(1).unwrap().lines().next().unwrap();
                if body.len() == length.parse::<usize>().unwrap() {
                    break (head.clone(), body.len());
                }
            };
            let body = text[text.len() - length..].to_owned();
            log.lock().unwrap().push((head, body));
            let status = statuses.get(number).or(statuses.last()).unwrap();
            let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (url, heard)
}

fn destination(url: Url) -> Destination {
    Destination {
        what: "records",
        url,
        framing: Framing::array(),
        token_file: None,
        ca_file: None,
        queue: 10,
        batch: 3,
        linger: Duration::from_millis(20),
    }
}

fn offer(outbox: &Outbox, numbers: std::ops::Range<u32>) {
    numbers.for_each(|number| outbox.offer(Bytes::from(number.to_string())));
}

fn counts(outbox: &Outbox) -> (u64, u64) {
    let tally = outbox.tally();
    (tally.sent.load(Ordering::Relaxed), tally.dropped.load(Ordering::Relaxed))
}

fn bodies(heard: &Heard) -> Vec<String> {
    heard.lock().unwrap().iter().map(|(_, body)| body.clone()).collect()
}

#[tokio::test]
async fn records_arrive_in_batches_and_those_that_wait_at_the_end_too() {
    let (url, heard) = collector(&[200]).await;
    let (outbox, work) = Outbox::open(destination(url)).unwrap();
    offer(&outbox, 0..5);
    let work = tokio::spawn(work);
    tokio::time::sleep(Duration::from_millis(300)).await;
    offer(&outbox, 5..6);
    outbox.close();
    work.await.unwrap();
    assert_eq!(bodies(&heard), ["[0,1,2]", "[3,4]", "[5]"]);
    assert_eq!(counts(&outbox), (6, 0));
    assert!(heard.lock().unwrap()[0].0.contains("content-type: application/json"));
}

#[tokio::test]
async fn what_is_refused_for_now_is_sent_again_and_what_is_faulty_is_not() {
    let (url, heard) = collector(&[503, 401, 200, 400, 200]).await;
    let (outbox, work) = Outbox::open(destination(url)).unwrap();
    offer(&outbox, 0..7);
    let work = tokio::spawn(work);
    while counts(&outbox) != (4, 3) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    outbox.close();
    work.await.unwrap();
    assert_eq!(bodies(&heard), ["[0,1,2]", "[0,1,2]", "[0,1,2]", "[3,4,5]", "[6]"]);
}

#[tokio::test]
async fn a_collector_that_is_gone_costs_records_and_no_time() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}/", free.local_addr().unwrap())).unwrap();
    drop(free);
    let (outbox, work) = Outbox::open(destination(url)).unwrap();
    let work = tokio::spawn(work);
    offer(&outbox, 0..100);
    assert!(counts(&outbox).1 >= 80, "{:?}", counts(&outbox));
    outbox.close();
    // The last attempt fails as well, and then it ends.
    timeout(Duration::from_secs(5), work).await.unwrap().unwrap();
    assert_eq!(counts(&outbox), (0, 100));
}

#[tokio::test]
async fn the_token_is_read_anew_for_each_request() {
    let (url, heard) = collector(&[401, 200]).await;
    let folder = tempfile::tempdir().unwrap();
    let token_file = folder.path().join("token");
    std::fs::write(&token_file, "first\n").unwrap();
    let to =
        Destination { token_file: Some(token_file.clone()), framing: Framing::lines(), ..destination(url) };
    let (outbox, work) = Outbox::open(to).unwrap();
    let work = tokio::spawn(work);
    offer(&outbox, 0..2);
    while heard.lock().unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    std::fs::write(&token_file, "second\n").unwrap();
    while counts(&outbox).0 < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    outbox.close();
    work.await.unwrap();
    let heard = heard.lock().unwrap();
    assert!(heard[0].0.contains("authorization: bearer first"), "{}", heard[0].0);
    assert!(heard[1].0.contains("authorization: bearer second"), "{}", heard[1].0);
    assert_eq!(heard[1].1, "0\n1\n");
}

#[test]
fn a_token_does_not_go_over_a_network_in_the_clear() {
    let to = |url: &str| {
        let url = Url::parse(url).unwrap();
        Outbox::open(Destination { token_file: Some("token".into()), ..destination(url) }).map(drop)
    };
    assert!(matches!(to("http://collector.example/"), Err(OutboxError::PlainToken(_))));
    assert!(matches!(to("ftp://collector.example/"), Err(OutboxError::Scheme(_))));
    to("https://collector.example/").unwrap();
    to("http://127.0.0.1:1/").unwrap();
}
