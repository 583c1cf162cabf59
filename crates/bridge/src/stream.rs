// SPDX-License-Identifier: GPL-3.0-or-later
//! The bytes of one connection, inside TLS or not: every dialect is spoken on either.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// A connection that can be read and written.
#[derive(Debug)]
pub(crate) enum Stream {
    /// As it comes.
    Plain(TcpStream),
    /// Inside TLS.
    Tls(Box<Inside>),
}

/// A connection inside TLS.
#[derive(Debug)]
pub(crate) struct Inside {
    stream: TlsStream<Rewound>,
    /// We have said that nothing more comes from us. What is read after that is thrown away, and is not looked at as TLS
    /// any more: nobody could be told what is wrong with it.
    has_ended: bool,
}

/// A plain connection whose first bytes have been looked at already.
#[derive(Debug)]
pub(crate) struct Rewound {
    first: BytesMut,
    rest: TcpStream,
}

/// The two halves of a [`Stream`].
pub(crate) type Reading = tokio::io::ReadHalf<Stream>;
pub(crate) type Writing = tokio::io::WriteHalf<Stream>;

impl Stream {
    /// The plain connection with `first` in front again; `None` inside TLS, where there is no second one.
    pub(crate) fn rewound(self, first: BytesMut) -> Option<Rewound> {
        match self {
            Self::Plain(rest) => Some(Rewound { first, rest }),
            Self::Tls(_) => None,
        }
    }

    /// The same inside of TLS, after the handshake.
    pub(crate) fn inside(stream: TlsStream<Rewound>) -> Self {
        Self::Tls(Box::new(Inside { stream, has_ended: false }))
    }

    pub(crate) fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }
}

impl AsyncRead for Rewound {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.first.is_empty() {
            return Pin::new(&mut this.rest).poll_read(context, buffer);
        }
        let count = this.first.len().min(buffer.remaining());
        buffer.put_slice(&this.first[..count]);
        this.first.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Rewound {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().rest).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().rest).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().rest).poll_shutdown(context)
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(inside) if inside.has_ended => Pin::new(inside.stream.get_mut().0).poll_read(context, buffer),
            Self::Tls(inside) => match Pin::new(&mut inside.stream).poll_read(context, buffer) {
                // Many clients end without TLS's goodbye; every dialect here tells by itself whether it was cut off.
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
                read => read,
            },
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(inside) => Pin::new(&mut inside.stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(inside) => Pin::new(&mut inside.stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(inside) => {
                inside.has_ended = true;
                Pin::new(&mut inside.stream).poll_shutdown(context)
            }
        }
    }
}
