/// State that changes by events alone, and the pure decision which events a command causes.
///
/// Neither function may read a clock, draw a random number or do I/O: what they need comes with the command.
///
/// # Examples
/// ```
/// use steadfast_core::Aggregate;
///
/// #[derive(Default)]
/// struct Counter(u32);
///
/// enum Command { Add(u32) }
/// enum Added { By(u32) }
/// #[derive(Debug, PartialEq)]
/// struct Overflow;
///
/// impl Aggregate for Counter {
///     type Command = Command;
///     type Event = Added;
///     type Error = Overflow;
///
///     fn decide(&self, command: &Command) -> Result<Vec<Added>, Overflow> {
///         let Command::Add(by) = command;
///         self.0.checked_add(*by).ok_or(Overflow)?;
///         Ok(vec![Added::By(*by)])
///     }
///
///     fn evolve(&mut self, event: &Added) {
///         let Added::By(by) = event;
///         self.0 += by;
///     }
/// }
///
/// let mut counter = Counter::default();
/// for event in counter.decide(&Command::Add(2))? {
///     counter.evolve(&event);
/// }
/// assert_eq!(counter.0, 2);
/// # Ok::<(), Overflow>(())
/// ```
pub trait Aggregate: Default + Send + 'static {
    /// What can be asked of the aggregate.
    type Command: Send;
    /// What can have happened to it.
    type Event: Send;
    /// Why a command is refused.
    type Error;

    /// Decides which events `command` causes; an empty list says that nothing needs to change.
    ///
    /// # Errors
    /// The command is not allowed in this state.
    fn decide(&self, command: &Self::Command) -> Result<Vec<Self::Event>, Self::Error>;

    /// Applies an event that has happened; it cannot be refused.
    fn evolve(&mut self, event: &Self::Event);
}
