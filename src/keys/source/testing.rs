//! A web server for the tests of sources: pages that can be changed while it runs, plain or with TLS.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use url::Url;

/// It serves until it is dropped. What has no page is 404.
pub(super) struct Server {
    pub(super) addr: SocketAddr,
    scheme: &'static str,
    pages: Arc<Mutex<HashMap<String, String>>>,
    requests: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Server {
    pub(super) async fn start() -> Self {
        Self::start_with(None).await
    }

    #[expect(clippy::disallowed_methods, reason = "the server ends with its test")]
    pub(super) async fn start_with(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let pages = Arc::new(Mutex::new(HashMap::new()));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (served, heads) = (Arc::clone(&pages), Arc::clone(&requests));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (served, heads) = (Arc::clone(&served), Arc::clone(&heads));
                match &tls {
                    None => answer(stream, &served, &heads).await,
                    Some(tls) => {
                        if let Ok(stream) = tls.accept(stream).await {
                            answer(stream, &served, &heads).await;
                        }
                    }
                }
            }
        });
        Self { addr, scheme, pages, requests, task }
    }

    pub(super) fn url(&self, path: &str) -> Url {
        Url::parse(&format!("{}://{}{path}", self.scheme, self.addr)).unwrap()
    }

    /// From now on `path` is answered so; `fields` are header lines.
    pub(super) fn page(&self, path: &str, status: &str, fields: &[&str], body: &str) {
        let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\n{fields}Content-Length: {length}\r\n");
        let page = format!("{head}Connection: close\r\n\r\n{body}");
        self.pages.lock().unwrap().insert(path.to_owned(), page);
    }

    pub(super) fn ok(&self, path: &str, body: &str) {
        self.page(path, "200 OK", &[], body);
    }

    /// The heads of the requests since the last call, in lower case.
    pub(super) fn requests(&self) -> Vec<String> {
        std::mem::take(&mut *self.requests.lock().unwrap())
    }

    /// What was asked for since the last call.
    pub(super) fn paths(&self) -> Vec<String> {
        let requests = self.requests();
        requests.iter().map(|head| head.split(' ').nth(1).unwrap_or_default().to_owned()).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    pages: &Mutex<HashMap<String, String>>,
    requests: &Mutex<Vec<String>>,
) {
    let head = head(&mut stream).await;
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    if !head.is_empty() {
        requests.lock().unwrap().push(head.to_lowercase());
    }
    let page = pages.lock().unwrap().get(&path).cloned();
    let page = page.unwrap_or_else(|| "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".into());
    if stream.write_all(page.as_bytes()).await.is_ok() {
        let _gone = stream.shutdown().await.is_err();
    }
}

/// What a client sends up to the empty line.
pub(super) async fn head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    // One by one: what follows belongs to somebody else.
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(octet) => head.push(octet),
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}
