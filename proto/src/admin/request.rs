//! Requests whose only field is a byte or a message id that may be absent.

/// `decode` and `encode` of a request that is empty or one byte.
macro_rules! optional_byte {
    ($name:ident = $kind:literal { $field:ident }) => {
        impl $name {
            /// Message type.
            pub const KIND: u32 = $kind;

            /// Reads the payload of a packet of this type.
            pub fn decode(payload: &[u8]) -> Result<Self, $crate::wire::Malformed> {
                let $field = match payload {
                    [] => None,
                    [byte] => Some(*byte),
                    _ => return Err($crate::wire::Malformed),
                };
                Ok($name { $field })
            }

            /// Appends the packet, header included.
            pub fn encode(&self, out: &mut Vec<u8>) {
                $crate::frame::put_frame(out, Self::KIND, |out| out.extend(self.$field));
            }
        }
    };
}

/// `decode` and `encode` of a request with one field behind a message id that may be absent.
macro_rules! optional_msgid {
    ($name:ident = $kind:literal { $field:ident, $with_msgid:literal bytes }) => {
        impl $name {
            /// Message type.
            pub const KIND: u32 = $kind;

            /// Reads the payload of a packet of this type.
            pub fn decode(payload: &[u8]) -> Result<Self, $crate::wire::Malformed> {
                let mut reader = $crate::wire::Reader::new(payload);
                let msgid = match payload.len() {
                    $with_msgid => Some(reader.u32()?),
                    _ => None,
                };
                let $field = reader.get()?;
                reader.finish()?;
                Ok($name { msgid, $field })
            }

            /// Appends the packet, header included.
            pub fn encode(&self, out: &mut Vec<u8>) {
                use $crate::wire::Put;
                $crate::frame::put_frame(out, Self::KIND, |out| {
                    if let Some(msgid) = self.msgid {
                        out.put_u32(msgid);
                    }
                    out.put(self.$field);
                });
            }
        }
    };
}

pub(super) use {optional_byte, optional_msgid};
