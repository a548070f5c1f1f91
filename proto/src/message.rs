//! Macros that define messages as lists of fields: the layout stands once, both directions follow.

/// Fixed-size parts of messages: structures that are fields and, with their size, list entries.
///
/// ```ignore
/// records! {
///     /// A disk.
///     Usage[20] { /** Bytes used. */ used: u64, total: u64, chunks: u32 }
/// }
/// ```
macro_rules! records {
    ($(
        $(#[$doc:meta])*
        $name:ident[$length:literal] {
            $( $(#[$field_doc:meta])* $field:ident: $type:ty ),* $(,)?
        }
    )*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name {
            $( $(#[$field_doc])* pub $field: $type, )*
        }

        impl<'a> $crate::wire::Field<'a> for $name {
            #[inline]
            fn get(
                reader: &mut $crate::wire::Reader<'a>,
            ) -> Result<Self, $crate::wire::Malformed> {
                Ok($name { $( $field: reader.get()?, )* })
            }

            #[inline]
            fn put(self, out: &mut Vec<u8>) {
                use $crate::wire::Put;
                $( out.put(self.$field); )*
            }
        }

        impl $crate::list::Entry for $name {
            const LEN: usize = $length;
        }
    )*};
}

/// Messages with one layout for all versions: the number and the fields in their order.
///
/// Every message gets `KIND`, `decode` (the payload must have exactly these fields) and `encode`
/// (appends the packet with its header).
macro_rules! messages {
    ($(
        $(#[$doc:meta])*
        $name:ident $(<$life:lifetime>)? = $kind:literal {
            $( $(#[$field_doc:meta])* $field:ident: $type:ty ),* $(,)?
        }
    )*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name $(<$life>)? {
            $( $(#[$field_doc])* pub $field: $type, )*
        }

        impl $(<$life>)? $name $(<$life>)? {
            /// Message type.
            pub const KIND: u32 = $kind;

            /// Reads the payload of a packet of this type.
            pub fn decode(
                payload: & $($life)? [u8],
            ) -> Result<Self, $crate::wire::Malformed> {
                #[allow(unused_mut, reason = "messages without fields read nothing")]
                let mut reader = $crate::wire::Reader::new(payload);
                let message = $name { $( $field: reader.get()?, )* };
                reader.finish()?;
                Ok(message)
            }

            /// Appends the packet, header included.
            pub fn encode(&self, out: &mut Vec<u8>) {
                $crate::frame::put_frame(out, Self::KIND, |_out| {
                    #[allow(unused_imports, reason = "messages without fields write nothing")]
                    use $crate::wire::Put;
                    $( _out.put(self.$field); )*
                });
            }
        }
    )*};
}

/// One direction of a connection: an enumeration over the messages that travel in it.
///
/// Every variant is named like its message. `decode` answers `Malformed` for types that the
/// direction does not have: an unknown type closes the connection like a wrong length.
macro_rules! direction {
    (
        $(#[$doc:meta])*
        $name:ident <$life:lifetime> {
            $( $(#[$variant_doc:meta])* $variant:ident $(<$variant_life:lifetime>)?, )*
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name <$life> {
            $( $(#[$variant_doc])* $variant($variant $(<$variant_life>)?), )*
        }

        impl <$life> $name <$life> {
            /// Reads a packet of type `kind`.
            pub fn decode(
                kind: u32,
                payload: &$life [u8],
            ) -> Result<Self, $crate::wire::Malformed> {
                match kind {
                    $( $variant::KIND => Ok($name::$variant($variant::decode(payload)?)), )*
                    _ => Err($crate::wire::Malformed),
                }
            }

            /// Message type.
            pub fn kind(&self) -> u32 {
                match self {
                    $( $name::$variant(_) => $variant::KIND, )*
                }
            }

            /// Appends the packet, header included.
            pub fn encode(&self, out: &mut Vec<u8>) {
                match self {
                    $( $name::$variant(message) => message.encode(out), )*
                }
            }
        }

        $(
            impl <$life> From<$variant $(<$variant_life>)?> for $name <$life> {
                fn from(message: $variant $(<$variant_life>)?) -> Self {
                    $name::$variant(message)
                }
            }
        )*
    };
}

/// Records whose fields depend on a form that the packet itself does not tell.
///
/// `field: type where gate else default` is present when the form's method `gate` says so, and
/// reads as `default` otherwise.
macro_rules! forms {
    (@get $reader:ident $form:ident) => { $reader.get()? };
    (@get $reader:ident $form:ident $gate:ident $default:expr) => {
        if $form.$gate() { $reader.get()? } else { $default }
    };
    (@put $out:ident $form:ident $value:expr) => { $out.put($value) };
    (@put $out:ident $form:ident $value:expr, $gate:ident) => {
        if $form.$gate() { $out.put($value) }
    };
    ($(
        $(#[$doc:meta])*
        $name:ident $(<$life:lifetime>)? by $form:ty {
            $(
                $(#[$field_doc:meta])*
                $field:ident: $type:ty $(where $gate:ident else $default:expr)?
            ),* $(,)?
        }
    )*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name $(<$life>)? {
            $( $(#[$field_doc])* pub $field: $type, )*
        }

        impl $(<$life>)? $name $(<$life>)? {
            /// Reads the fields that the form has; the others get their defaults.
            pub(crate) fn get(
                reader: &mut $crate::wire::Reader<$($life)?>,
                form: $form,
            ) -> Result<Self, $crate::wire::Malformed> {
                Ok($name {
                    $( $field: $crate::message::forms!(@get reader form $($gate $default)?), )*
                })
            }

            /// Appends the fields that the form has.
            pub(crate) fn put(&self, out: &mut Vec<u8>, form: $form) {
                use $crate::wire::Put;
                $( $crate::message::forms!(@put out form self.$field $(, $gate)?); )*
            }
        }
    )*};
}

/// Replies that are a list of records of one form, as long as the packet.
macro_rules! lists {
    ($(
        $(#[$doc:meta])*
        $name:ident = $kind:literal of $entry:ident $(<$life:lifetime>)? by $form:ty;
    )*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name;

        impl $name {
            /// Message type.
            pub const KIND: u32 = $kind;

            /// Reads the payload of a packet of this type.
            pub fn decode $(<$life>)? (
                payload: & $($life)? [u8],
                form: $form,
            ) -> Result<Vec<$entry $(<$life>)?>, $crate::wire::Malformed> {
                let mut reader = $crate::wire::Reader::new(payload);
                let mut entries = Vec::new();
                while !reader.is_empty() {
                    entries.push($entry::get(&mut reader, form)?);
                }
                Ok(entries)
            }

            /// Appends the packet, header included.
            pub fn encode $(<$life>)? (
                entries: impl IntoIterator<Item = $entry $(<$life>)?>,
                form: $form,
                out: &mut Vec<u8>,
            ) {
                $crate::frame::put_frame(out, Self::KIND, |out| {
                    for entry in entries {
                        entry.put(out, form);
                    }
                });
            }
        }
    )*};
}

pub(crate) use {direction, forms, lists, messages, records};
