// SPDX-License-Identifier: GPL-3.0-or-later
//! Bodies of answers: text, a reply in its pieces, or events as they come.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use blendwire_protocol::EncodedReply;
use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Frame, SizeHint};

use crate::queue::LaneGuard;

/// Any of them.
pub(crate) type AnyBody = UnsyncBoxBody<Bytes, Infallible>;

/// A short text.
pub(crate) fn text(text: impl Into<Bytes>) -> AnyBody {
    Full::new(text.into()).boxed_unsync()
}

/// A reply without copying it; the connection's next request waits until it has gone out where it is long.
pub(crate) fn reply(reply: EncodedReply, lane: Option<LaneGuard>) -> AnyBody {
    Pieces { pieces: reply.pieces.into(), _lane: lane }.boxed_unsync()
}

struct Pieces {
    pieces: VecDeque<Bytes>,
    _lane: Option<LaneGuard>,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.get_mut().pieces.pop_front().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.pieces.iter().map(|piece| piece.len() as u64).sum())
    }
}
