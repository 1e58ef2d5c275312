use super::cursor::{Cursor, Malformed, utf8};
use super::message::{Cell, Column, Message, Old, Relation, Tuple};

/// Decodes one message.
pub(in super::super) fn decode(bytes: &[u8]) -> Result<Message, Malformed> {
    let mut cursor = Cursor::new(bytes);
    let c = &mut cursor;
    let message = match c.u8()? {
        b'B' => Message::Begin { lsn: c.u64()?, micros: c.i64()?, xid: c.u32()? },
        b'C' => {
            // Flags, of which none is in use.
            c.u8()?;
            Message::Commit { lsn: c.u64()?, end_lsn: c.u64()?, micros: c.i64()? }
        }
        b'O' => Message::Origin { lsn: c.u64()?, name: c.string()? },
        b'R' => Message::Relation(relation(c)?),
        b'Y' => Message::Type { id: c.u32()?, namespace: c.string()?, name: c.string()? },
        b'I' => {
            let relation = c.u32()?;
            expect_new(c)?;
            Message::Insert { relation, new: tuple(c)? }
        }
        b'U' => update(c)?,
        b'D' => {
            let relation = c.u32()?;
            let kind = c.u8()?;
            Message::Delete { relation, old: old(kind, c)? }
        }
        b'T' => truncate(c)?,
        b'M' => emitted(c)?,
        byte => return Err(Malformed::Unknown { what: "the kind of message", byte }),
    };
    cursor.finish()?;
    Ok(message)
}

fn relation(c: &mut Cursor<'_>) -> Result<Relation, Malformed> {
    let (id, namespace, name, replica_identity) = (c.u32()?, c.string()?, c.string()?, c.u8()?);
    let count = c.u16()?;
    let column = |_| {
        let is_key = c.u8()? & 1 == 1;
        Ok(Column { is_key, name: c.string()?, type_id: c.u32()?, modifier: c.i32()? })
    };
    let columns = (0..count).map(column).collect::<Result<_, Malformed>>()?;
    Ok(Relation { id, namespace, name, replica_identity, columns })
}

fn update(c: &mut Cursor<'_>) -> Result<Message, Malformed> {
    let relation = c.u32()?;
    match c.u8()? {
        b'N' => Ok(Message::Update { relation, old: None, new: tuple(c)? }),
        kind => {
            let old = old(kind, c)?;
            expect_new(c)?;
            Ok(Message::Update { relation, old: Some(old), new: tuple(c)? })
        }
    }
}

fn truncate(c: &mut Cursor<'_>) -> Result<Message, Malformed> {
    let count = c.u32()?;
    // Options: whether others were emptied with it, and whether sequences began anew.
    c.u8()?;
    let relations = (0..count).map(|_| c.u32()).collect::<Result<_, _>>()?;
    Ok(Message::Truncate { relations })
}

fn emitted(c: &mut Cursor<'_>) -> Result<Message, Malformed> {
    c.u8()?;
    c.u64()?;
    let prefix = c.string()?;
    c.sized()?;
    Ok(Message::Emitted { prefix })
}

fn expect_new(c: &mut Cursor<'_>) -> Result<(), Malformed> {
    match c.u8()? {
        b'N' => Ok(()),
        byte => Err(Malformed::Unknown { what: "the kind of row", byte }),
    }
}

fn old(kind: u8, c: &mut Cursor<'_>) -> Result<Old, Malformed> {
    match kind {
        b'K' => Ok(Old::Key(tuple(c)?)),
        b'O' => Ok(Old::Full(tuple(c)?)),
        byte => Err(Malformed::Unknown { what: "the kind of row", byte }),
    }
}

fn tuple(c: &mut Cursor<'_>) -> Result<Tuple, Malformed> {
    let count = c.u16()?;
    let cell = |_| match c.u8()? {
        b'n' => Ok(Cell::Null),
        b'u' => Ok(Cell::Unchanged),
        b't' => Ok(Cell::Text(utf8(c.sized()?)?)),
        b'b' => Ok(Cell::Binary(c.sized()?.to_vec())),
        byte => Err(Malformed::Unknown { what: "the kind of value", byte }),
    };
    (0..count).map(cell).collect()
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn encode(message: &Message) -> Vec<u8> {
        let mut b = Vec::new();
        let text = |b: &mut Vec<u8>, text: &str| {
            b.extend(text.as_bytes());
            b.push(0);
        };
        match message {
            Message::Begin { lsn, micros, xid } => {
                b.push(b'B');
                b.extend(lsn.to_be_bytes());
                b.extend(micros.to_be_bytes());
                b.extend(xid.to_be_bytes());
            }
            Message::Commit { lsn, end_lsn, micros } => {
                b.extend([b'C', 0]);
                b.extend(lsn.to_be_bytes());
                b.extend(end_lsn.to_be_bytes());
                b.extend(micros.to_be_bytes());
            }
            Message::Origin { lsn, name } => {
                b.push(b'O');
                b.extend(lsn.to_be_bytes());
                text(&mut b, name);
            }
            Message::Relation(relation) => {
                b.push(b'R');
                b.extend(relation.id.to_be_bytes());
                text(&mut b, &relation.namespace);
                text(&mut b, &relation.name);
                b.push(relation.replica_identity);
                b.extend((relation.columns.len() as u16).to_be_bytes());
                for column in &relation.columns {
                    b.push(u8::from(column.is_key));
                    text(&mut b, &column.name);
                    b.extend(column.type_id.to_be_bytes());
                    b.extend(column.modifier.to_be_bytes());
                }
            }
            Message::Type { id, namespace, name } => {
                b.push(b'Y');
                b.extend(id.to_be_bytes());
                text(&mut b, namespace);
                text(&mut b, name);
            }
            Message::Insert { relation, new } => {
                b.push(b'I');
                b.extend(relation.to_be_bytes());
                b.push(b'N');
                encode_tuple(&mut b, new);
            }
            Message::Update { relation, old, new } => {
                b.push(b'U');
                b.extend(relation.to_be_bytes());
                if let Some(old) = old {
                    encode_old(&mut b, old);
                }
                b.push(b'N');
                encode_tuple(&mut b, new);
            }
            Message::Delete { relation, old } => {
                b.push(b'D');
                b.extend(relation.to_be_bytes());
                encode_old(&mut b, old);
            }
            Message::Truncate { relations } => {
                b.push(b'T');
                b.extend((relations.len() as u32).to_be_bytes());
                b.push(1);
                relations.iter().for_each(|id| b.extend(id.to_be_bytes()));
            }
            Message::Emitted { prefix } => {
                b.extend([b'M', 1]);
                b.extend(7_u64.to_be_bytes());
                text(&mut b, prefix);
                b.extend([0, 0, 0, 2, 1, 2]);
            }
        }
        b
    }

    fn encode_old(b: &mut Vec<u8>, old: &Old) {
        let (kind, tuple) = match old {
            Old::Key(tuple) => (b'K', tuple),
            Old::Full(tuple) => (b'O', tuple),
        };
        b.push(kind);
        encode_tuple(b, tuple);
    }

    fn encode_tuple(b: &mut Vec<u8>, tuple: &Tuple) {
        b.extend((tuple.len() as u16).to_be_bytes());
        for cell in tuple {
            let (kind, value) = match cell {
                Cell::Null => (b'n', None),
                Cell::Unchanged => (b'u', None),
                Cell::Text(text) => (b't', Some(text.as_bytes())),
                Cell::Binary(bytes) => (b'b', Some(&bytes[..])),
            };
            b.push(kind);
            if let Some(value) = value {
                b.extend((value.len() as u32).to_be_bytes());
                b.extend(value);
            }
        }
    }

    fn cells() -> impl Strategy<Value = Tuple> {
        let cell = prop_oneof![
            Just(Cell::Null),
            Just(Cell::Unchanged),
            any::<String>().prop_map(Cell::Text),
            any::<Vec<u8>>().prop_map(Cell::Binary),
        ];
        vec(cell, 0..6)
    }

    fn olds() -> impl Strategy<Value = Old> {
        prop_oneof![cells().prop_map(Old::Key), cells().prop_map(Old::Full)]
    }

    fn messages() -> impl Strategy<Value = Message> {
        let name = "[^\0]{0,12}";
        let column = (any::<bool>(), name, any::<u32>(), any::<i32>())
            .prop_map(|(is_key, name, type_id, modifier)| Column { is_key, name, type_id, modifier });
        let relation = (any::<u32>(), name, name, any::<u8>(), vec(column, 0..6)).prop_map(
            |(id, namespace, name, replica_identity, columns)| {
                Message::Relation(Relation { id, namespace, name, replica_identity, columns })
            },
        );
        prop_oneof![
            any::<(u64, i64, u32)>().prop_map(|(lsn, micros, xid)| Message::Begin { lsn, micros, xid }),
            any::<(u64, u64, i64)>().prop_map(|(lsn, end_lsn, micros)| Message::Commit {
                lsn,
                end_lsn,
                micros
            }),
            (any::<u64>(), name).prop_map(|(lsn, name)| Message::Origin { lsn, name }),
            relation,
            (any::<u32>(), name, name).prop_map(|(id, namespace, name)| Message::Type {
                id,
                namespace,
                name
            }),
            (any::<u32>(), cells()).prop_map(|(relation, new)| Message::Insert { relation, new }),
            (any::<u32>(), proptest::option::of(olds()), cells())
                .prop_map(|(relation, old, new)| Message::Update { relation, old, new }),
            (any::<u32>(), olds()).prop_map(|(relation, old)| Message::Delete { relation, old }),
            vec(any::<u32>(), 0..5).prop_map(|relations| Message::Truncate { relations }),
            name.prop_map(|prefix| Message::Emitted { prefix }),
        ]
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(message in messages()) {
            prop_assert_eq!(decode(&encode(&message)), Ok(message));
        }

        #[test]
        fn a_part_of_a_message_is_an_error(message in messages(), cut in any::<prop::sample::Index>()) {
            let bytes = encode(&message);
            let part = &bytes[..cut.index(bytes.len())];
            prop_assert!(decode(part).is_err());
            prop_assert!(decode(&[&bytes[..], b"x"].concat()).is_err());
        }

        #[test]
        fn no_bytes_make_it_panic(message in messages(), at in any::<prop::sample::Index>(), with in any::<u8>(),
                                  noise in vec(any::<u8>(), 0..64)) {
            let mut bytes = encode(&message);
            let at = at.index(bytes.len());
            bytes[at] = with;
            let _ = decode(&bytes);
            let _ = decode(&noise);
        }
    }
}
