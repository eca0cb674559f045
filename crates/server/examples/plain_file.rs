//! hyper serving one file and nothing else: what a large GET of the store is measured against.
//!
//! ```text
//! cargo run --release -p wigeon-server --example plain_file -- FILE PORT
//! ```

use std::env;
use std::error::Error;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::TryStreamExt;
use http::Response;
use http::header::CONTENT_LENGTH;
use http_body_util::StreamBody;
use hyper::body::Frame;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::fs::File;
use tokio::net::TcpListener;
use tokio_util::io::ReaderStream;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How much is read at once: as much as the store does.
const PIECE: usize = 256 << 10;

#[tokio::main]
async fn main() -> Outcome<()> {
    let mut arguments = env::args().skip(1);
    let path = Arc::new(PathBuf::from(arguments.next().ok_or("usage: plain_file FILE PORT")?));
    let port: u16 = arguments.next().ok_or("usage: plain_file FILE PORT")?.parse()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let path = Arc::clone(&path);
        tokio::spawn(async move {
            let service = service_fn(move |_| {
                let path = Arc::clone(&path);
                async move {
                    let file = File::open(path.as_path()).await?;
                    let length = file.metadata().await?.len();
                    let pieces = ReaderStream::with_capacity(file, PIECE).map_ok(Frame::data);
                    let mut response = Response::new(StreamBody::new(pieces));
                    response.headers_mut().insert(CONTENT_LENGTH, length.into());
                    Ok::<_, std::io::Error>(response)
                }
            });
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}
