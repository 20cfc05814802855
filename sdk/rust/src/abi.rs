//! The canonical ABI of the contract, by hand: the only file of the SDK that may write `unsafe`.
//!
//! By hand because it is small, needs no runtime and no macro crate in an author's build, and because two things that
//! generated bindings cannot do make calls cheap: all that crosses lies in arenas that are emptied after the call, and
//! state columns are changed in place and returned where they lie. How it is held up to date: the structs of
//! [`crate::record`] mirror the records of `wit/` field by field, a test there compares their layout with the one
//! computed from `wit/`, another [`CONTRACT`] with the digest of its text, and the encoder checks the signature of each
//! export when a component is made.
//!
//! Always true: a buffer from the host is 8-byte aligned (the arena aligns so) and lives until the host has read the
//! answer and calls `cabi_post_*`. Neighbours: [`crate::column`] and [`crate::record`] have the records that cross,
//! [`mod@crate::export`] the functions.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::cell::{Cell, OnceCell, RefCell, UnsafeCell};
use std::fmt::{self, Debug, Formatter};
use std::marker::PhantomData;
use std::mem::take;

/// Digest of the contract's text (SHA-256 in hex, over `wit/{data,keyed,log,transform}.wit` in this order) that this
/// file mirrors. Each operator carries it in the section `wasmill:contract`.
pub const CONTRACT: [u8; 64] = *b"19842dd972a16f3eacf57b4efb84a3f1df64afb1418378d437d3034963bfcd05";

/// Numbers that may be read from any bytes and have no padding.
pub trait Plain: Copy + 'static + sealed::Sealed {}
mod sealed {
    pub trait Sealed {}
}
macro_rules! plain {
    ($($number:ty)*) => { $(impl sealed::Sealed for $number {} impl Plain for $number {})* };
}
plain!(u8 u32 i64 f64);

/// The bytes of numbers.
#[must_use]
pub fn bytes_of<T: Plain>(numbers: &[T]) -> &[u8] {
    // SAFETY: `Plain` numbers have no padding, and the slice covers exactly their memory.
    unsafe { std::slice::from_raw_parts(numbers.as_ptr().cast(), size_of_val(numbers)) }
}

/// A list as it crosses: address and number of items, borrowed for `'a`.
#[repr(C)]
pub struct List<'a, T> {
    pub(crate) items: *const T,
    len: usize,
    lives: PhantomData<&'a [T]>,
}

impl<T> Clone for List<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for List<'_, T> {}

impl<T> Default for List<'_, T> {
    fn default() -> Self {
        Self { items: std::ptr::dangling(), len: 0, lives: PhantomData }
    }
}

impl<T: PartialEq> PartialEq for List<'_, T> {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl<T: Debug> Debug for List<'_, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

impl<'a, T> From<&'a [T]> for List<'a, T> {
    fn from(items: &'a [T]) -> Self {
        Self { items: items.as_ptr(), len: items.len(), lives: PhantomData }
    }
}

impl<'a, T> From<&'a mut [T]> for List<'a, T> {
    fn from(items: &'a mut [T]) -> Self {
        Self { items: items.as_mut_ptr().cast_const(), len: items.len(), lives: PhantomData }
    }
}

impl<'a, T> List<'a, T> {
    /// A list among the arguments of a call.
    ///
    /// # Safety
    /// The host passes `items` and `len`, and the list is dropped before `cabi_post_*`.
    #[must_use]
    pub const unsafe fn passed(items: *const u8, len: usize) -> Self {
        Self { items: items.cast(), len, lives: PhantomData }
    }

    /// The items.
    #[must_use]
    pub fn get(self) -> &'a [T] {
        if self.len == 0 {
            return &[];
        }
        // SAFETY: a non-empty list comes from a slice that lives for `'a`, or from the host, which wrote `len` items at
        // an address that our arena gave it, and which the arena keeps for `'a`.
        unsafe { std::slice::from_raw_parts(self.items, self.len) }
    }
}

impl<'a> List<'a, u8> {
    /// The numbers that the bytes are.
    ///
    /// # Panics
    /// When the bytes are not aligned or not a whole number of them: the host broke the contract.
    #[must_use]
    pub fn numbers<T: Plain>(self) -> &'a [T] {
        // SAFETY: every bit pattern is a `Plain` number.
        let (before, numbers, after) = unsafe { self.get().align_to::<T>() };
        assert!(before.is_empty() && after.is_empty(), "a buffer of the host is aligned and whole");
        numbers
    }
}

/// Bytes of the host that the contract says are UTF-8, which the host has checked, as text.
#[must_use]
pub fn text(bytes: &[u8]) -> &str {
    // SAFETY: `utf8` and `json` columns and all strings of the contract are UTF-8 value by value. The host checks what
    // it decodes before it passes it on; a host that did not could only harm the guest that it owns anyway.
    unsafe { std::str::from_utf8_unchecked(bytes) }
}

/// A buffer that this side alone may change until it is returned.
#[repr(C)]
pub struct Buffer<'a> {
    bytes: List<'a, u8>,
    unique: PhantomData<&'a mut [u8]>,
}

impl<'a> Buffer<'a> {
    /// The numbers that the bytes are.
    ///
    /// # Panics
    /// As [`List::numbers`].
    #[must_use]
    pub fn into_numbers<T: Plain>(self) -> &'a mut [T] {
        if self.bytes.len == 0 {
            return &mut [];
        }
        // SAFETY: a `Buffer` is not `Clone`, is made from a `&mut` or from the host's arguments, which nobody else
        // holds, and every bit pattern is a `Plain` number.
        let (before, numbers, after) =
            unsafe { std::slice::from_raw_parts_mut(self.bytes.items.cast_mut(), self.bytes.len).align_to_mut::<T>() };
        assert!(before.is_empty() && after.is_empty(), "a buffer of the host is aligned and whole");
        numbers
    }
}

impl<'a, T: Plain> From<&'a mut [T]> for Buffer<'a> {
    fn from(numbers: &'a mut [T]) -> Self {
        let len = size_of_val(numbers);
        let bytes = List { items: numbers.as_mut_ptr().cast::<u8>().cast_const(), len, lives: PhantomData };
        Self { bytes, unique: PhantomData }
    }
}

impl Default for Buffer<'_> {
    fn default() -> Self {
        Self { bytes: List::default(), unique: PhantomData }
    }
}

impl<'a, T: Default> List<'a, T> {
    /// The items of a list of the host's arguments, each taken out.
    pub(crate) fn take_each(self) -> impl Iterator<Item = T> + use<'a, T> {
        let items: &'a mut [T] = if self.len == 0 {
            &mut []
        } else {
            // SAFETY: called once a list, on arguments that the host wrote for this call or that came as `&mut`.
            unsafe { std::slice::from_raw_parts_mut(self.items.cast_mut(), self.len) }
        };
        items.iter_mut().map(take)
    }
}

/// Memory for one call: what the host passes and the records of the answer. Emptied as a whole.
pub struct Arena {
    chunks: RefCell<Vec<(*mut u8, Layout)>>,
    next: Cell<*mut u8>,
    left: Cell<usize>,
}

/// Bytes of the first chunk of an arena: it is zeroed, so all of it is memory in use, also where an operator sees a row
/// an hour. Each chunk has twice the bytes of the one before.
const FIRST_CHUNK_BYTES: usize = 4 << 10;
/// Alignment of everything in an arena: that of the widest number.
const ALIGN: usize = 8;

impl Default for Arena {
    fn default() -> Self {
        Self::new()
    }
}

impl Arena {
    /// An empty arena.
    #[must_use]
    pub const fn new() -> Self {
        Self { chunks: RefCell::new(Vec::new()), next: Cell::new(std::ptr::null_mut()), left: Cell::new(0) }
    }

    /// Room for so many bytes.
    fn room(&self, bytes: usize) -> *mut u8 {
        let bytes = bytes.next_multiple_of(ALIGN).max(ALIGN);
        if bytes > self.left.get() {
            self.grow(bytes);
        }
        let room = self.next.get();
        self.left.set(self.left.get() - bytes);
        self.next.set(room.wrapping_add(bytes));
        room
    }

    #[cold]
    fn grow(&self, bytes: usize) {
        let mut chunks = self.chunks.borrow_mut();
        let size = chunks.last().map_or(FIRST_CHUNK_BYTES, |(_, layout)| layout.size() * 2).max(bytes);
        let layout = Layout::from_size_align(size, ALIGN).expect("the host passes less than half of the address space");
        // SAFETY: the size is not zero.
        let chunk = unsafe { alloc_zeroed(layout) };
        if chunk.is_null() {
            handle_alloc_error(layout);
        }
        chunks.push((chunk, layout));
        self.next.set(chunk);
        self.left.set(size);
    }

    /// These items as a list.
    pub(crate) fn list<'a, T>(&'a self, items: impl ExactSizeIterator<Item = T>) -> List<'a, T> {
        const { assert!(align_of::<T>() <= ALIGN && !std::mem::needs_drop::<T>()) };
        let (start, most) = (self.room(items.len() * size_of::<T>()).cast::<T>(), items.len());
        let mut len = 0;
        for item in items.take(most) {
            // SAFETY: there is room for `most` items from `start`, which is aligned; `len < most`.
            unsafe { start.add(len).write(item) };
            len += 1;
        }
        List { items: start, len, lives: PhantomData }
    }

    /// Empties it; the largest chunk stays for the next call.
    fn clear(&mut self) {
        let chunks = self.chunks.get_mut();
        let Some((kept, layout)) = chunks.pop() else { return };
        for (chunk, layout) in chunks.drain(..) {
            // SAFETY: allocated by `grow` with this layout; `&mut self` shows that nothing points into it.
            unsafe { dealloc(chunk, layout) };
        }
        chunks.push((kept, layout));
        self.next.set(kept);
        self.left.set(layout.size());
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        for (chunk, layout) in self.chunks.get_mut().drain(..) {
            // SAFETY: allocated by `grow` with this layout; `&mut self` shows that nothing points into it.
            unsafe { dealloc(chunk, layout) };
        }
    }
}

/// Memory for the columns that one call makes: numbers that nobody has to set to zero first. Emptied as a whole.
#[derive(Default)]
pub struct Buffers(Arena);

impl Buffers {
    /// No memory yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(Arena::new())
    }

    /// Room for so many numbers, with anything in it.
    #[must_use]
    #[expect(clippy::mut_from_ref, reason = "each call hands out memory that nobody has")]
    pub fn numbers<T: Plain>(&self, len: usize) -> &mut [T] {
        if len == 0 {
            return &mut [];
        }
        let start = self.0.room(len * size_of::<T>()).cast::<T>();
        // SAFETY: `room` gives memory that is aligned, of this size, and nobody else's until `clear`, which takes
        // `&mut self`. It was zeroed when it was allocated, and since then only `Plain` numbers, which have no padding,
        // were written to it: every byte is initialised.
        unsafe { std::slice::from_raw_parts_mut(start, len) }
    }

    /// A copy of these numbers.
    #[must_use]
    pub fn copy<T: Plain>(&self, numbers: &[T]) -> &mut [T] {
        let copy = self.numbers(numbers.len());
        copy.copy_from_slice(numbers);
        copy
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}

/// What a component has for its life: its operator, the memory of the call that runs, and the answer of that call,
/// which the host has yet to read.
pub struct Slot<O, A> {
    operator: OnceCell<O>,
    arena: UnsafeCell<Arena>,
    buffers: UnsafeCell<Buffers>,
    answer: UnsafeCell<Option<A>>,
}

// SAFETY: a component has one thread and the host does not enter it while a call runs.
unsafe impl<O, A> Sync for Slot<O, A> {}

impl<O: 'static, A: 'static> Slot<O, A> {
    pub(crate) const fn new() -> Self {
        Self {
            operator: OnceCell::new(),
            arena: UnsafeCell::new(Arena::new()),
            buffers: UnsafeCell::new(Buffers::new()),
            answer: UnsafeCell::new(None),
        }
    }

    /// The operator, once it is open.
    pub(crate) fn operator(&'static self) -> &'static OnceCell<O> {
        &self.operator
    }

    /// The memory of the call that runs.
    pub(crate) fn arena(&'static self) -> &'static Arena {
        // SAFETY: the only `&mut` is made in `finished`, when no reference from before is used any more.
        unsafe { &*self.arena.get() }
    }

    /// The memory for the columns that the call makes.
    pub(crate) fn buffers(&'static self) -> &'static Buffers {
        // SAFETY: as `arena`.
        unsafe { &*self.buffers.get() }
    }

    /// Keeps an answer until `finished`.
    pub(crate) fn hold(&'static self, answer: A) -> &'static A {
        // SAFETY: called once a call, and the answer of the call before was finished.
        unsafe { (*self.answer.get()).insert(answer) }
    }

    /// `cabi_realloc`: room for the host's arguments.
    pub(crate) fn realloc(&'static self, old: *const u8, old_bytes: usize, bytes: usize) -> *mut u8 {
        let room = self.arena().room(bytes);
        if old_bytes > 0 {
            // SAFETY: the host says that `old` has `old_bytes`, and `room` is new and has `bytes`.
            unsafe { std::ptr::copy_nonoverlapping(old, room, old_bytes.min(bytes)) };
        }
        room
    }

    /// `cabi_post_*`: the host has read the answer.
    pub(crate) fn finished(&'static self) {
        // SAFETY: the host calls this when no call runs; what the last one borrowed from here is gone with it.
        unsafe {
            *self.answer.get() = None;
            (*self.arena.get()).clear();
            (*self.buffers.get()).clear();
        }
    }
}

#[cfg(target_arch = "wasm32")]
#[link(wasm_import_module = "wasmill:operator/log@0.1.0")]
unsafe extern "C" {
    #[link_name = "write"]
    fn log_write(level: i32, message: *const u8, len: usize);
}

/// `log.write`; outside of a component, the standard error stream.
pub(crate) fn log(level: i32, message: &str) {
    #[cfg(target_arch = "wasm32")]
    // SAFETY: the import takes a level of `log.level` and a string, which it reads before it returns.
    unsafe {
        log_write(level, message.as_ptr(), message.len());
    }
    #[cfg(not(target_arch = "wasm32"))]
    eprintln!("log, level {level}: {message}");
}

/// A list that the host passes, by address and length: these must be arguments of the call that runs.
#[doc(hidden)]
#[macro_export]
macro_rules! __passed {
    ($items:expr, $len:expr) => {
        // SAFETY: the host passes both to the exported function that this stands in.
        unsafe { $crate::abi::List::passed($items, $len) }
    };
}

/// Exports a function under the name that the encoder looks for.
#[doc(hidden)]
#[macro_export]
macro_rules! __named {
    ($name:literal $function:item) => {
        #[cfg(target_arch = "wasm32")]
        #[unsafe(export_name = $name)]
        $function
    };
}

/// Puts the digest of the contract into the component.
#[doc(hidden)]
#[macro_export]
macro_rules! __contract {
    () => {
        #[cfg(target_arch = "wasm32")]
        #[used]
        #[unsafe(link_section = "wasmill:contract")]
        static CONTRACT: [u8; 64] = $crate::abi::CONTRACT;
    };
}
