//! Why a component cannot be made, loaded or compiled. What goes wrong in a call is the engine's `CallError`.

use wasmill_engine::operator::OperatorKind;

/// Why bytes do not become an operator. Trying again never helps; the operator's author must act, except where said.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ComponentError {
    /// Building: the core module is not one.
    #[error("the core module cannot be read: {0}")]
    NotACoreModule(String),
    /// Building: none of the contract's exports.
    #[error(
        "the core module exports neither `wasmill:operator/transform@0.1.0#process` nor \
         `wasmill:operator/keyed@0.1.0#process`: it has no operator; has the SDK's macro been applied to a function?"
    )]
    NoOperatorInCore,
    /// Building or loading: made with another text of the contract.
    #[error(
        "the guest was built for the contract with digest {built}, this host speaks {ours}: build it again with the \
         SDK that belongs to this host"
    )]
    OtherContractText {
        /// The digest in the guest.
        built: String,
        /// [`crate::contract_digest`].
        ours: String,
    },
    /// Building: the module does not fit the contract.
    #[error("the core module cannot be made a component: {0}")]
    Encode(String),
    /// Loading: nothing there.
    #[error("the file is empty: a component was expected")]
    Empty,
    /// Loading: some other file.
    #[error("not WebAssembly: the file begins with {begins}, a component with \"\\0asm\"")]
    NotWasm {
        /// The first bytes, readable.
        begins: String,
    },
    /// Loading: a core module.
    #[error("this is a core WebAssembly module, not a component: run `wasmill build` on it")]
    CoreModule,
    /// Loading: broken off, or not valid WebAssembly.
    #[error("the component is damaged or not valid at byte {offset}: {reason}")]
    Malformed {
        /// Where, in bytes from the start.
        offset: u64,
        /// What.
        reason: String,
    },
    /// Building or loading: it asks for something that no operator is given.
    #[error("the component imports `{import}`, which no operator is given: {cause}")]
    Import {
        /// The import as the component names it.
        import: String,
        /// Where such an import usually comes from, and what to do.
        cause: String,
    },
    /// Loading: another version of the contract.
    #[error(
        "the component speaks `{theirs}`, this host speaks version {}: build it again with a matching SDK",
        crate::wit::VERSION
    )]
    OtherVersion {
        /// The interface as the component names it.
        theirs: String,
    },
    /// Loading: no operator in it.
    #[error(
        "the component exports no operator: expected `wasmill:operator/transform@0.1.0` or \
         `wasmill:operator/keyed@0.1.0`, found {found}"
    )]
    NoOperator {
        /// What it exports.
        found: String,
    },
    /// Loading: two operators in it.
    #[error("the component exports both {} and {}: one component is one operator", .0, .1)]
    TwoOperators(OperatorKind, OperatorKind),
    /// Loading: it is larger than the host's settings allow. Components with a language's runtime inside (JavaScript,
    /// Python) need more than the default.
    #[error("the component exceeds {limit}: limit {allowed}, requested {requested}")]
    TooMany {
        /// Name of the limit.
        limit: &'static str,
        /// The limit.
        allowed: u64,
        /// What the component has.
        requested: u64,
    },
    /// Compiling: refused, for instance because of a proposal that is off.
    #[error("the component does not compile: {0}")]
    Compile(String),
    /// Compiling: the compiler gave up in an unforeseen way. Ours to mend.
    #[error("the compiler failed on this component, which is a defect of the host: {0}")]
    CompilerPanic(String),
    /// Compiling: it takes too long. Trying again helps only where the machine was very busy.
    #[error(
        "the component exceeds compile_ms_max: limit {allowed_ms} ms, after which it was still not compiled; make it \
         smaller"
    )]
    CompileTime {
        /// The limit.
        allowed_ms: u64,
    },
    /// Compiling: it takes too much memory.
    #[error(
        "the component exceeds compile_memory_bytes_max: limit {allowed}, {requested} more were requested than were \
         left; make it smaller"
    )]
    CompileMemory {
        /// The limit, in bytes.
        allowed: u64,
        /// Bytes of the request that failed.
        requested: u64,
    },
    /// Compiling: the process that compiled is gone, without an answer. Ours to mend.
    #[error("the compiler died on this component, which is a defect of the host ({0})")]
    CompilerDied(String),
    /// Linking: it wants what it imports in another shape.
    #[error("the component does not link: {0}")]
    Link(String),
    /// The host could not be set up. The outside system's.
    #[error("the WebAssembly host cannot start: {0}")]
    Host(String),
}
