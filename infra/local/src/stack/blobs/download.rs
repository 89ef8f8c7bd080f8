//! Giving out an object's bytes.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use bytes::Bytes;
use s3s::dto::StreamingBlob;
use s3s::{S3Result, s3_error};
use tokio::sync::mpsc;

use super::disk;
use super::store::Content;

/// Up to this many bytes are read at once into memory.
const WHOLE_BYTES: u64 = 1_024 * 1_024;

/// Larger objects are read in pieces of this size, two ahead of the client.
const PIECE_BYTES: u64 = 256 * 1_024;

pub(super) async fn stream(content: Content, range: Range<u64>) -> S3Result<StreamingBlob> {
    let file = match content {
        Content::Inline(bytes) => return Ok(StreamingBlob::from(s3s::Body::from(cut(&bytes, &range)?))),
        Content::Large(file) => file,
    };
    if range.end - range.start <= WHOLE_BYTES {
        let bytes = disk(move || read_piece(&file, &range)).await?;
        return Ok(StreamingBlob::from(s3s::Body::from(bytes)));
    }
    let (pieces, mut arriving) = mpsc::channel(2);
    tokio::task::spawn_blocking(move || send_pieces(&file, range, &pieces));
    Ok(StreamingBlob::wrap(futures_util::stream::poll_fn(move |context| arriving.poll_recv(context))))
}

fn cut(bytes: &Bytes, range: &Range<u64>) -> S3Result<Bytes> {
    let at = |place: u64| usize::try_from(place).ok().filter(|place| *place <= bytes.len());
    match (at(range.start), at(range.end)) {
        (Some(start), Some(end)) if start <= end => Ok(bytes.slice(start..end)),
        _ => Err(s3_error!(InvalidRange)),
    }
}

fn send_pieces(file: &File, range: Range<u64>, pieces: &mpsc::Sender<io::Result<Bytes>>) {
    let mut at = range.start;
    while at < range.end {
        let end = range.end.min(at + PIECE_BYTES);
        let piece = read_piece(file, &(at..end));
        let failed = piece.is_err();
        // A client that is gone needs no more.
        if pieces.blocking_send(piece).is_err() || failed {
            return;
        }
        at = end;
    }
}

fn read_piece(mut file: &File, range: &Range<u64>) -> io::Result<Bytes> {
    file.seek(SeekFrom::Start(range.start))?;
    let mut bytes = vec![0; usize::try_from(range.end - range.start).map_err(io::Error::other)?];
    file.read_exact(&mut bytes)?;
    Ok(bytes.into())
}
