crate::machine! {
    /// The life cycle of whatever runs, can be paused, and ends: `Initial` → `Running` ⇄ `Paused` → `Terminated`.
    ///
    /// The [`Driver`](crate::process::Driver) of processes has it.
    ///
    /// # Examples
    /// ```
    /// use steadfast_core::machine::{Control, Lifecycle};
    ///
    /// let state = Lifecycle::Initial.next(Control::Start)?.next(Control::Pause)?;
    /// assert_eq!(state, Lifecycle::Paused);
    ///
    /// let illegal = state.next(Control::Start).unwrap_err();
    /// assert_eq!(illegal.to_string(), "`paused` does not allow `start`, only `resume` or `terminate`");
    /// # Ok::<(), steadfast_core::machine::Illegal<Lifecycle>>(())
    /// ```
    pub enum Lifecycle {
        /// It has not begun.
        Initial => { Start => Running },
        /// It does its work.
        Running => { Pause => Paused, Terminate => Terminated },
        /// It does nothing and keeps what it has.
        Paused => { Resume => Running, Terminate => Terminated },
        /// It has given up what it had; the end.
        Terminated,
    }

    /// What can be asked of something with a [`Lifecycle`].
    pub enum Control {
        /// Begin.
        Start,
        /// Do nothing for a while.
        Pause,
        /// Go on.
        Resume,
        /// End.
        Terminate,
    }

    start: Initial
}
