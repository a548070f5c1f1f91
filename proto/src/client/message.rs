//! What all message bodies have in common: the two directions, lists, strings with long lengths,
//! and the answer that is either a status or a body.
//!
//! `encode` writes the payload only; [`crate::frame`] puts the header before it.

use std::fmt;

use crate::status::Status;
use crate::version::Version;
use crate::wire::{Field, Malformed, Put, Reader, Versioned};

/// Payload of a message. One type is one layout family; both directions stand next to each other.
///
/// `client` is the version that the client's side announced: it decides what the master sends and
/// how it reads (wire-client-master §8.1). A client that talks to an older master passes the
/// smaller of the two versions.
pub trait Message<'a>: Sized {
    /// Reads the whole payload; bytes that no layout explains make it [`Malformed`].
    fn decode(payload: &'a [u8], client: Version) -> Result<Self, Malformed>;

    /// Appends the payload.
    fn encode(&self, client: Version, out: &mut Vec<u8>);
}

/// Declares messages that are `msgid:32` and a fixed sequence of fields.
macro_rules! message {
    ($(
        $(#[$doc:meta])*
        $name:ident $(<$life:lifetime>)? {
            $($(#[$field_doc:meta])* $field:ident: $type:ty,)*
        }
    )*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name $(<$life>)? {
            /// Number that connects request and reply.
            pub msgid: u32,
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl<'a> $crate::client::message::Message<'a> for $name $(<$life>)? {
            #[inline]
            fn decode(
                payload: &'a [u8],
                _client: $crate::version::Version,
            ) -> Result<Self, $crate::wire::Malformed> {
                let mut reader = $crate::wire::Reader::new(payload);
                let message = $name {
                    msgid: reader.u32()?,
                    $($field: $crate::wire::Versioned::get(&mut reader, _client)?,)*
                };
                reader.finish()?;
                Ok(message)
            }

            #[inline]
            fn encode(&self, _client: $crate::version::Version, out: &mut Vec<u8>) {
                $crate::wire::Put::put_u32(out, self.msgid);
                $($crate::wire::Versioned::put(self.$field, _client, out);)*
            }
        }
    )*};
}

/// Declares small records: a fixed sequence of fields, used inside messages and lists.
macro_rules! record {
    ($(
        $(#[$doc:meta])*
        $name:ident $(<$life:lifetime>)? {
            $($(#[$field_doc:meta])* $field:ident: $type:ty,)*
        }
    )*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name $(<$life>)? {
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl<'a> $crate::wire::Field<'a> for $name $(<$life>)? {
            #[inline]
            fn get(
                reader: &mut $crate::wire::Reader<'a>,
            ) -> Result<Self, $crate::wire::Malformed> {
                Ok($name { $($field: reader.get()?,)* })
            }

            #[inline]
            fn put(self, out: &mut Vec<u8>) {
                $($crate::wire::Field::put(self.$field, out);)*
            }
        }
    )*};
}

pub(crate) use {message, record};

/// Values behind each other without a count of their own.
///
/// Decoding checks that the bytes are whole values and keeps them as they are; encoding takes
/// values. Both sides iterate in the same way.
#[derive(Clone, Copy)]
pub enum List<'a, T> {
    /// Bytes of a packet, already checked to be whole values for this client version.
    Wire(&'a [u8], Version),
    /// Values to be sent.
    Values(&'a [T]),
}

impl<'a, T: Versioned<'a>> List<'a, T> {
    /// A list without values.
    pub const EMPTY: List<'a, T> = List::Values(&[]);

    /// Reads `count` values.
    #[inline]
    pub fn get(reader: &mut Reader<'a>, count: u64, client: Version) -> Result<Self, Malformed> {
        let start = *reader;
        for _ in 0..count {
            T::get(reader, client)?;
        }
        let mut whole = start;
        Ok(List::Wire(
            whole.bytes(start.remaining() - reader.remaining())?,
            client,
        ))
    }

    /// Reads values to the end.
    #[inline]
    pub fn get_rest(reader: &mut Reader<'a>, client: Version) -> Result<Self, Malformed> {
        let bytes = reader.rest();
        let mut check = Reader::new(bytes);
        while !check.is_empty() {
            T::get(&mut check, client)?;
        }
        Ok(List::Wire(bytes, client))
    }

    /// Appends the values.
    #[inline]
    pub fn put(&self, client: Version, out: &mut Vec<u8>) {
        for value in self.iter() {
            value.put(client, out);
        }
    }

    /// The values in their order.
    #[inline]
    pub fn iter(&self) -> ListIter<'a, T> {
        match *self {
            List::Wire(bytes, client) => ListIter::Wire(Reader::new(bytes), client),
            List::Values(values) => ListIter::Values(values.iter()),
        }
    }

    /// Number of values; walks over lists that came from a packet.
    pub fn count(&self) -> usize {
        match self {
            List::Wire(..) => self.iter().count(),
            List::Values(values) => values.len(),
        }
    }
}

/// Values of a [`List`].
#[derive(Clone, Debug)]
pub enum ListIter<'a, T> {
    /// Unread bytes.
    Wire(Reader<'a>, Version),
    /// Values that are left.
    Values(std::slice::Iter<'a, T>),
}

impl<'a, T: Versioned<'a>> Iterator for ListIter<'a, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        match self {
            ListIter::Wire(reader, client) if !reader.is_empty() => T::get(reader, *client).ok(),
            ListIter::Wire(..) => None,
            ListIter::Values(values) => values.next().copied(),
        }
    }
}

impl<'a, T: Versioned<'a> + PartialEq> PartialEq for List<'a, T> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<'a, T: Versioned<'a> + Eq> Eq for List<'a, T> {}

impl<'a, T: Versioned<'a> + fmt::Debug> fmt::Debug for List<'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Text without the NULs at its end, which clients may or may not send.
pub fn trim_nuls(mut text: &[u8]) -> &[u8] {
    while let Some((0, rest)) = text.split_last() {
        text = rest;
    }
    text
}

/// `length:32` and text with a NUL at its end. The length counts the NUL, the value lacks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NulText<'a>(pub &'a [u8]);

impl<'a> Field<'a> for NulText<'a> {
    #[inline]
    fn get(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        match reader.long_bytes()?.split_last() {
            Some((0, text)) => Ok(NulText(text)),
            _ => Err(Malformed),
        }
    }

    #[inline]
    fn put(self, out: &mut Vec<u8>) {
        out.put_u32(u32::try_from(self.0.len().saturating_add(1)).unwrap_or(u32::MAX));
        out.put_bytes(self.0);
        out.put_u8(0);
    }
}

message! {
    /// `msgid:32 status:8`: every error, and success of what returns nothing.
    StatusReply {
        /// Outcome.
        status: Status,
    }
    /// `msgid:32` alone.
    Plain {}
}

/// Reply that is a status (5 bytes) or a body of another length (wire-client-master §1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer<T> {
    /// Failure, or success without a body.
    Status(StatusReply),
    /// Success with values.
    Body(T),
}

impl<'a, T: Message<'a>> Message<'a> for Answer<T> {
    #[inline]
    fn decode(payload: &'a [u8], client: Version) -> Result<Self, Malformed> {
        if payload.len() == 5 {
            StatusReply::decode(payload, client).map(Answer::Status)
        } else {
            T::decode(payload, client).map(Answer::Body)
        }
    }

    #[inline]
    fn encode(&self, client: Version, out: &mut Vec<u8>) {
        match self {
            Answer::Status(status) => status.encode(client, out),
            Answer::Body(body) => body.encode(client, out),
        }
    }
}

/// `[ msgid:32 ] N*[ value ]`: requests and replies that are a list to the end of the packet.
///
/// Some lists travel without msgid, or with one only if the request had one; the layout does not
/// tell, so [`Message::decode`] expects it and [`ListMessage::decode_bare`] does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListMessage<'a, T: Versioned<'a>> {
    /// Number that connects request and reply, if there is one.
    pub msgid: Option<u32>,
    /// The values.
    pub items: List<'a, T>,
}

impl<'a, T: Versioned<'a>> ListMessage<'a, T> {
    /// Reads a list without msgid.
    pub fn decode_bare(payload: &'a [u8], client: Version) -> Result<Self, Malformed> {
        let items = List::get_rest(&mut Reader::new(payload), client)?;
        Ok(ListMessage { msgid: None, items })
    }
}

impl<'a, T: Versioned<'a>> Message<'a> for ListMessage<'a, T> {
    fn decode(payload: &'a [u8], client: Version) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        let msgid = Some(reader.u32()?);
        let items = List::get_rest(&mut reader, client)?;
        Ok(ListMessage { msgid, items })
    }

    fn encode(&self, client: Version, out: &mut Vec<u8>) {
        if let Some(msgid) = self.msgid {
            out.put_u32(msgid);
        }
        self.items.put(client, out);
    }
}
