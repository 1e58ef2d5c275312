/// Declares a state machine: states, commands, and which command leads from which state to which.
///
/// Each state lists what it allows as `COMMAND => STATE`; one that lists nothing is an end. `start:` names the state
/// in which the machine starts, with `on COMMAND` if a command brings it into being, such as `Create`. What stands
/// before an enum or a variant (documentation, `#[derive(…)]`, `#[serde(…)]`) stays there; `Debug`, `Clone`, `Copy`,
/// `PartialEq`, `Eq` and `Hash` are derived anyway, and `Display` writes the label.
///
/// Both enums get `ALL` and `as_str`, the states `next` and `allowed` too; the traits [`Label`] and [`Machine`] have
/// the same for generic code, and the rest. See the [module](mod@crate::machine) for a whole example.
///
/// A state that lists a command twice does not compile:
/// ```compile_fail
/// steadfast_core::machine! {
///     enum Door { Open => { Push => Shut, Push => Open }, Shut }
///     enum Hand { Push }
///     start: Open
/// }
/// ```
/// Nor does one that leads to a state which is not declared, or by such a command:
/// ```compile_fail
/// steadfast_core::machine! {
///     enum Door { Open => { Push => Locked }, Shut }
///     enum Hand { Push }
///     start: Open
/// }
/// ```
///
/// [`Label`]: crate::machine::Label
/// [`Machine`]: crate::machine::Machine
#[macro_export]
macro_rules! machine {
    (
        $(#[$state_meta:meta])*
        $state_vis:vis enum $State:ident {
            $(
                $(#[$from_meta:meta])*
                $from:ident $(=> { $($command:ident => $to:ident),* $(,)? })?
            ),+ $(,)?
        }

        $(#[$command_meta:meta])*
        $command_vis:vis enum $Command:ident {
            $(
                $(#[$name_meta:meta])*
                $name:ident
            ),+ $(,)?
        }

        start: $start:ident $(on $birth:ident)? $(;)?
    ) => {
        $(#[$state_meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        $state_vis enum $State {
            $($(#[$from_meta])* $from,)+
        }

        $(#[$command_meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        $command_vis enum $Command {
            $($(#[$name_meta])* $name,)+
        }

        #[allow(dead_code, reason = "not every user needs all of it")]
        impl $State {
            /// All states, in the order in which they are declared.
            $state_vis const ALL: &'static [Self] = &[$(Self::$from),+];

            /// Returns the name in `snake_case`, for metrics and logs.
            $state_vis const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$from => $crate::__machine_label!($from),)+
                }
            }

            /// Returns the state that `command` leads to.
            ///
            /// # Errors
            /// This state does not allow `command`.
            #[allow(unreachable_patterns, reason = "a machine may allow everything")]
            $state_vis const fn next(
                self,
                command: $Command,
            ) -> ::core::result::Result<Self, $crate::machine::Illegal<Self>> {
                match (self, command) {
                    $($($((Self::$from, $Command::$command) => ::core::result::Result::Ok(Self::$to),)*)?)+
                    _ => ::core::result::Result::Err($crate::machine::Illegal { from: self, command }),
                }
            }

            /// Returns the commands that this state allows, in the order in which they are declared.
            $state_vis const fn allowed(self) -> &'static [$Command] {
                match self {
                    $(Self::$from => &[$($($Command::$command),*)?],)+
                }
            }
        }

        #[allow(dead_code, reason = "not every user needs all of it")]
        impl $Command {
            /// All commands, in the order in which they are declared.
            $command_vis const ALL: &'static [Self] = &[$(Self::$name),+];

            /// Returns the name in `snake_case`, for metrics and logs.
            $command_vis const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $crate::__machine_label!($name),)+
                }
            }
        }

        const _: () = $crate::machine::name::assert_deterministic(&[
            $($($(($State::$from as usize, $Command::$command as usize),)*)?)+
        ]);

        $crate::__machine_traits!($State);
        $crate::__machine_traits!($Command);

        impl $crate::machine::Machine for $State {
            type Command = $Command;

            const START: Self = Self::$start;
            const BIRTH: ::core::option::Option<$Command> = $crate::__machine_birth!($Command $($birth)?);
            const TRANSITIONS: &'static [$crate::machine::Transition<Self>] = &[
                $($($($crate::machine::Transition {
                    from: Self::$from,
                    command: $Command::$command,
                    to: Self::$to,
                },)*)?)+
            ];

            fn next(
                self,
                command: $Command,
            ) -> ::core::result::Result<Self, $crate::machine::Illegal<Self>> {
                <$State>::next(self, command)
            }

            fn allowed(self) -> &'static [$Command] {
                <$State>::allowed(self)
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __machine_label {
    ($name:ident) => {{
        const LENGTH: usize = $crate::machine::name::snake_case_len(stringify!($name));
        const SNAKE: [u8; LENGTH] = $crate::machine::name::snake_case(stringify!($name));
        const LABEL: &str = $crate::machine::name::text(&SNAKE);
        LABEL
    }};
}

#[doc(hidden)]
#[macro_export]
macro_rules! __machine_birth {
    ($Command:ident) => {
        ::core::option::Option::None
    };
    ($Command:ident $birth:ident) => {
        ::core::option::Option::Some($Command::$birth)
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __machine_traits {
    ($Label:ident) => {
        impl ::core::fmt::Display for $Label {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl $crate::machine::Label for $Label {
            const ALL: &'static [Self] = <$Label>::ALL;

            fn as_str(self) -> &'static str {
                <$Label>::as_str(self)
            }
        }
    };
}
