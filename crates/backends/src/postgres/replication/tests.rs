use bytes::{BufMut, Bytes, BytesMut};
use proptest::prelude::*;

use super::frame::{self, Frame};
use super::session::{two_columns, word};
use super::{Failure, Word};

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut message = vec![tag];
    message.extend((body.len() as u32 + 4).to_be_bytes());
    message.extend(body);
    message
}

#[test]
fn an_error_has_its_code_and_its_text() {
    let body = b"SFATAL\0VFATAL\0C55006\0Mreplication slot \"s\" is active\0Fslot.c\0\0";
    let Failure::Server { code, message } = frame::error(body) else { panic!("an error of the server") };
    assert_eq!((&*code, &*message), ("55006", "replication slot \"s\" is active"));
}

#[test]
fn words_of_the_stream_are_read() {
    let mut data = vec![b'w'];
    data.extend([0; 24]);
    data.extend(b"B...");
    assert_eq!(word(data.into()).ok(), Some(Word::Data(Bytes::from_static(b"B..."))));
    let mut alive = BytesMut::from(&b"k"[..]);
    alive.put_u64(77);
    alive.put_u64(0);
    alive.put_u8(1);
    assert_eq!(word(alive.clone().freeze()).ok(), Some(Word::Keepalive { wal_end: 77, asks: true }));
    alive.truncate(17);
    for bad in [alive.freeze(), Bytes::new(), Bytes::from_static(b"w"), Bytes::from_static(b"x...")] {
        assert!(matches!(word(bad), Err(Failure::Protocol(_))));
    }
}

#[test]
fn the_first_two_columns_of_a_row_are_read() {
    let row = [&[0, 2, 0, 0, 0, 3][..], b"123", &[0, 0, 0, 1], b"x"].concat();
    assert_eq!(two_columns(row.into()), Some(("123".into(), "x".into())));
    for bad in
        [&[][..], &[0, 1, 0, 0, 0, 1, b'x'], &[0, 2, 0xff, 0xff, 0xff, 0xff], &[0, 2, 0, 0, 0, 9, b'x']]
    {
        assert_eq!(two_columns(Bytes::copy_from_slice(bad)), None);
    }
}

proptest! {
    /// However the bytes are cut on the way, the same messages arrive; too large ones are refused before they are kept.
    #[test]
    fn messages_survive_any_cut(
        messages in prop::collection::vec((any::<u8>(), prop::collection::vec(any::<u8>(), 0..40)), 1..8),
        cuts in prop::collection::vec(1_usize..16, 1..40),
    ) {
        let bytes: Vec<u8> = messages.iter().flat_map(|(tag, body)| message(*tag, body)).collect();
        let (mut buffer, mut arrived, mut rest) = (BytesMut::new(), Vec::new(), &bytes[..]);
        for cut in cuts.iter().cycle() {
            let (now, later) = rest.split_at((*cut).min(rest.len()));
            buffer.extend_from_slice(now);
            rest = later;
            while let Some(Frame { tag, body }) = frame::take(&mut buffer, 44).expect("small messages") {
                arrived.push((tag, body.to_vec()));
            }
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(arrived, messages);
    }

    #[test]
    fn rubbish_is_refused_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let mut buffer = BytesMut::from(&bytes[..]);
        while let Ok(Some(Frame { body, .. })) = frame::take(&mut buffer, 1024) {
            let _ = (word(body.clone()), two_columns(body.clone()), frame::error(&body));
        }
    }
}
