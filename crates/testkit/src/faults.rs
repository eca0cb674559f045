//! A proxy between a client and a store, on real sockets, that does to answers what networks and stores do: refuses
//! with 503 SlowDown or ExpiredToken, does what was asked and says that it did not, cuts the connection anywhere,
//! flips a byte, stalls.
//!
//! It passes bytes on as they are, so signatures hold. Which answer meets which fault is decided by a seed: the same
//! seed and the same order of requests are the same run.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What is done to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Not passed on: 503 SlowDown.
    SlowDown,
    /// Not passed on: 400 ExpiredToken.
    Expired,
    /// Not passed on: 500 InternalError.
    Broken,
    /// Passed on and done; the answer is 500 all the same.
    DoneButBroken,
    /// The connection ends in the middle of the request.
    CutRequest,
    /// The connection ends after so many thousandths of the answer.
    CutAnswer(u32),
    /// One byte of the answer's body is another.
    Corrupt,
    /// Nothing comes any more, for so long; then the connection ends.
    Stall(Duration),
}

/// How often which faults happen.
#[derive(Debug, Clone)]
pub struct Weather {
    /// Of a thousand requests, how many meet a fault.
    pub per_mille: u32,
    /// Those that happen; each is as likely as the others.
    pub faults: Vec<Fault>,
}

/// A proxy that runs until it is dropped.
#[derive(Debug)]
pub struct FaultProxy {
    /// Where it listens: `127.0.0.1:PORT`.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    accepting: tokio::task::JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    upstream: SocketAddr,
    weather: Mutex<Weather>,
    random: Mutex<u64>,
    done: AtomicU64,
}

/// The longest head that is passed on.
const LONGEST_HEAD: usize = 64 << 10;
const PIECE: usize = 64 << 10;

impl Weather {
    /// Nothing happens.
    #[must_use]
    pub fn calm() -> Self {
        Self { per_mille: 0, faults: Vec::new() }
    }

    /// Everything that a client must survive by itself, or fail of in good order.
    #[must_use]
    pub fn storm(per_mille: u32) -> Self {
        let faults = vec![
            Fault::SlowDown,
            Fault::Expired,
            Fault::Broken,
            Fault::DoneButBroken,
            Fault::CutRequest,
            Fault::CutAnswer(0),
            Fault::CutAnswer(500),
            Fault::CutAnswer(990),
            Fault::Stall(Duration::from_millis(300)),
        ];
        Self { per_mille, faults }
    }
}

impl FaultProxy {
    /// Starts in front of a store.
    ///
    /// # Errors
    /// Where no port is to be had.
    pub async fn start(upstream: SocketAddr, weather: Weather, seed: u64) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            upstream,
            weather: Mutex::new(weather),
            random: Mutex::new(seed ^ 0x9e37_79b9_7f4a_7c15),
            done: AtomicU64::new(0),
        });
        let serving = Arc::clone(&shared);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let shared = Arc::clone(&serving);
                // However a connection ends: that is what the client is here to bear.
                tokio::spawn(async move { serve(client, &shared).await.ok() });
            }
        });
        Ok(Self { address, shared, accepting })
    }

    /// Changes the weather for the requests to come.
    pub fn set(&self, weather: Weather) {
        *self.shared.weather.lock().unwrap_or_else(PoisonError::into_inner) = weather;
    }

    /// How many requests have met a fault.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.shared.done.load(Ordering::Relaxed)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Shared {
    fn next(&self) -> Option<Fault> {
        let weather = self.weather.lock().unwrap_or_else(PoisonError::into_inner);
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        if draw(&mut random) % 1000 >= u64::from(weather.per_mille) {
            return None;
        }
        let count = u64::try_from(weather.faults.len()).unwrap_or(0).max(1);
        let fault = weather.faults.get(usize::try_from(draw(&mut random) % count).unwrap_or(0)).copied();
        if fault.is_some() {
            self.done.fetch_add(1, Ordering::Relaxed);
        }
        fault
    }
}

/// splitmix64.
fn draw(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// One connection of a client: its requests, one after the other.
async fn serve(mut client: TcpStream, shared: &Shared) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut upstream = TcpStream::connect(shared.upstream).await?;
    upstream.set_nodelay(true)?;
    let (mut from_client, mut from_store) = (Vec::new(), Vec::new());
    loop {
        let Some(head) = read_head(&mut client, &mut from_client).await? else { return Ok(()) };
        let length = content_length(&head).unwrap_or(0);
        match shared.next() {
            Some(Fault::SlowDown) => {
                skip(&mut client, &mut from_client, length).await?;
                client.write_all(&refusal("503 Slow Down", "SlowDown")).await?;
            }
            Some(Fault::Expired) => {
                skip(&mut client, &mut from_client, length).await?;
                client.write_all(&refusal("400 Bad Request", "ExpiredToken")).await?;
            }
            Some(Fault::Broken) => {
                skip(&mut client, &mut from_client, length).await?;
                client.write_all(&refusal("500 Internal Server Error", "InternalError")).await?;
            }
            Some(Fault::CutRequest) => {
                upstream.write_all(&head).await?;
                pass(&mut client, &mut from_client, &mut upstream, length / 2, false).await?;
                return Ok(());
            }
            Some(Fault::Stall(pause)) => {
                tokio::time::sleep(pause).await;
                return Ok(());
            }
            fault => {
                upstream.write_all(&head).await?;
                pass(&mut client, &mut from_client, &mut upstream, length, false).await?;
                let is_head = head.starts_with(b"HEAD ");
                if !answer(&mut client, &mut upstream, &mut from_store, fault, is_head).await? {
                    return Ok(());
                }
            }
        }
    }
}

/// Passes an answer on, or what the fault leaves of it; `false` where the connection is over.
async fn answer(
    client: &mut TcpStream,
    upstream: &mut TcpStream,
    buffer: &mut Vec<u8>,
    fault: Option<Fault>,
    is_head: bool,
) -> io::Result<bool> {
    let head = loop {
        let Some(head) = read_head(upstream, buffer).await? else { return Ok(false) };
        if !head.starts_with(b"HTTP/1.1 100") {
            break head;
        }
    };
    let chunked = header(&head, "transfer-encoding").is_some_and(|value| value.contains("chunked"));
    let bodiless = is_head || head.get(9..12).is_some_and(|status| status == b"204" || status == b"304");
    let length = if bodiless { Some(0) } else { content_length(&head) };
    match (fault, length) {
        (Some(Fault::DoneButBroken), Some(length)) => {
            skip(upstream, buffer, length).await?;
            client.write_all(&refusal("500 Internal Server Error", "InternalError")).await?;
            Ok(true)
        }
        (Some(Fault::CutAnswer(per_mille)), length) => {
            let whole = head.len() as u64 + length.unwrap_or(0);
            let wanted = whole * u64::from(per_mille) / 1000;
            let of_head = usize::try_from(wanted).unwrap_or(usize::MAX).min(head.len());
            client.write_all(head.get(..of_head).unwrap_or_default()).await?;
            pass(upstream, buffer, client, wanted - of_head as u64, false).await?;
            Ok(false)
        }
        (fault, Some(length)) => {
            client.write_all(&head).await?;
            pass(upstream, buffer, client, length, fault == Some(Fault::Corrupt)).await?;
            Ok(true)
        }
        // Of unknown length: to the end of the connection, or of its chunks; either way it is the last here.
        (_, None) => {
            client.write_all(&head).await?;
            if chunked {
                pass_chunks(upstream, buffer, client).await?;
                return Ok(true);
            }
            pass(upstream, buffer, client, u64::MAX, false).await?;
            Ok(false)
        }
    }
}

async fn pass_chunks(from: &mut TcpStream, buffer: &mut Vec<u8>, to: &mut TcpStream) -> io::Result<()> {
    loop {
        let line = loop {
            if let Some(end) = buffer.windows(2).position(|pair| pair == b"\r\n") {
                break buffer.drain(..end + 2).collect::<Vec<u8>>();
            }
            if from.read_buf(buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        };
        let text = String::from_utf8_lossy(&line);
        let size = u64::from_str_radix(text.trim().split(';').next().unwrap_or_default(), 16);
        let size = size.map_err(|_| io::ErrorKind::InvalidData)?;
        to.write_all(&line).await?;
        pass(from, buffer, to, size + 2, false).await?;
        if size == 0 {
            return Ok(());
        }
    }
}

/// A head with its empty line; `None` where the connection ends before one.
async fn read_head(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
    loop {
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            return Ok(Some(buffer.drain(..end + 4).collect()));
        }
        if buffer.len() > LONGEST_HEAD || stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

fn header(head: &[u8], name: &str) -> Option<String> {
    String::from_utf8_lossy(head).lines().find_map(|line| {
        let (known, value) = line.split_once(':')?;
        known.eq_ignore_ascii_case(name).then(|| value.trim().to_ascii_lowercase())
    })
}

fn content_length(head: &[u8]) -> Option<u64> {
    header(head, "content-length")?.parse().ok()
}

/// Passes so many bytes on, or all up to the end.
async fn pass(
    from: &mut TcpStream,
    buffer: &mut Vec<u8>,
    to: &mut TcpStream,
    length: u64,
    mut corrupt: bool,
) -> io::Result<()> {
    let mut left = length;
    while left > 0 {
        if buffer.is_empty() {
            buffer.reserve(PIECE);
            if from.read_buf(buffer).await? == 0 {
                return if length == u64::MAX { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
        }
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let mut piece: Vec<u8> = buffer.drain(..count).collect();
        if let Some(byte) = piece.first_mut().filter(|_| corrupt) {
            *byte ^= 1;
            corrupt = false;
        }
        to.write_all(&piece).await?;
        left -= count as u64;
    }
    Ok(())
}

async fn skip(from: &mut TcpStream, buffer: &mut Vec<u8>, length: u64) -> io::Result<()> {
    let mut left = length;
    while left > 0 {
        if buffer.is_empty() && from.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        buffer.drain(..count);
        left -= count as u64;
    }
    Ok(())
}

fn refusal(status: &str, code: &str) -> Vec<u8> {
    let body =
        format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>the weather</Message></Error>");
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-type: application/xml\r\ncontent-length: {length}\r\n\r\n{body}")
        .into_bytes()
}

#[cfg(test)]
mod tests {

    use super::*;

    /// Answers each request with its body.
    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut buffer = Vec::new();
                    while let Ok(Some(head)) = read_head(&mut stream, &mut buffer).await {
                        let length = usize::try_from(content_length(&head).unwrap_or(0)).unwrap();
                        while buffer.len() < length {
                            stream.read_buf(&mut buffer).await.unwrap();
                        }
                        let body: Vec<u8> = buffer.drain(..length).collect();
                        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
                        stream.write_all(head.as_bytes()).await.unwrap();
                        stream.write_all(&body).await.unwrap();
                    }
                });
            }
        });
        address
    }

    async fn ask(proxy: &FaultProxy) -> Result<(u16, Vec<u8>), reqwest::Error> {
        let url = format!("http://{}/x", proxy.address);
        let sent = reqwest::Client::new().put(url).body(vec![7; 200_000]).send().await?;
        Ok((sent.status().as_u16(), sent.bytes().await?.to_vec()))
    }

    #[tokio::test]
    async fn faults_as_told() {
        let proxy = FaultProxy::start(echo().await, Weather::calm(), 1).await.unwrap();
        assert_eq!(ask(&proxy).await.unwrap(), (200, vec![7; 200_000]));
        for (fault, status) in [(Fault::SlowDown, 503), (Fault::Expired, 400), (Fault::DoneButBroken, 500)] {
            proxy.set(Weather { per_mille: 1000, faults: vec![fault] });
            assert_eq!(ask(&proxy).await.unwrap().0, status);
        }
        proxy.set(Weather { per_mille: 1000, faults: vec![Fault::Corrupt] });
        let (_, body) = ask(&proxy).await.unwrap();
        assert_eq!(body.iter().filter(|byte| **byte != 7).count(), 1);
        for fault in
            [Fault::CutRequest, Fault::CutAnswer(0), Fault::CutAnswer(500), Fault::Stall(Duration::ZERO)]
        {
            proxy.set(Weather { per_mille: 1000, faults: vec![fault] });
            assert!(ask(&proxy).await.is_err(), "{fault:?}");
        }
        assert_eq!(proxy.faults(), 8);
    }
}
