//! Zeroed, cache-line aligned 32-bit words; big buffers ask for huge pages.

#![expect(unsafe_code, reason = "aligned allocation, and advice to the kernel about it")]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

const CACHE_LINE: usize = 64;
/// From this size on a buffer is aligned to, and advised to use, pages of this size: walking 48 columns of packed
/// weights in 4 KiB pages misses the translation cache all the time.
const HUGE_PAGE: usize = 2 << 20;

/// An owned slice of zero-initialised words.
pub(crate) struct Buffer {
    words: NonNull<u32>,
    length: usize,
}

// SAFETY: a `Buffer` owns its words like a `Box<[u32]>`.
unsafe impl Send for Buffer {}
// SAFETY: shared access only reads.
unsafe impl Sync for Buffer {}

impl Buffer {
    pub(crate) fn new(length: usize) -> Buffer {
        if length == 0 {
            return Buffer { words: NonNull::dangling(), length };
        }
        let layout = layout(length);
        // SAFETY: the layout's size is not zero.
        let Some(words) = NonNull::new(unsafe { alloc(layout) }.cast::<u32>()) else { handle_alloc_error(layout) };
        if layout.align() == HUGE_PAGE {
            advise_huge_pages(words.as_ptr(), layout.size());
        }
        // SAFETY: the allocation has room for `length` words. Only now are its pages touched.
        unsafe { words.as_ptr().write_bytes(0, length) };
        Buffer { words, length }
    }

    /// Makes room for `length` words; what was in it is lost when it has to grow.
    pub(crate) fn reserve(&mut self, length: usize) {
        if length > self.length {
            *self = Buffer::new(length);
        }
    }
}

impl Deref for Buffer {
    type Target = [u32];

    fn deref(&self) -> &[u32] {
        // SAFETY: `words` points to `length` initialised words (dangling but aligned when there are none).
        unsafe { std::slice::from_raw_parts(self.words.as_ptr(), self.length) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u32] {
        // SAFETY: as in `deref`, and the buffer is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.words.as_ptr(), self.length) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.length > 0 {
            // SAFETY: allocated in `new` with the same layout.
            unsafe { dealloc(self.words.as_ptr().cast(), layout(self.length)) };
        }
    }
}

fn layout(length: usize) -> Layout {
    let bytes = length.checked_mul(size_of::<u32>()).filter(|&bytes| bytes <= isize::MAX as usize - HUGE_PAGE);
    let Some(bytes) = bytes else { handle_alloc_error(Layout::new::<u32>()) };
    let align = if bytes >= HUGE_PAGE { HUGE_PAGE } else { CACHE_LINE };
    // SAFETY: the alignment is a power of two, and the size rounded up to it does not overflow `isize`.
    unsafe { Layout::from_size_align_unchecked(bytes, align) }
}

/// Best effort: a system without huge pages just does not use them.
#[cfg(target_os = "linux")]
fn advise_huge_pages(words: *mut u32, bytes: usize) {
    unsafe extern "C" {
        fn madvise(address: *mut std::ffi::c_void, length: usize, advice: std::ffi::c_int) -> std::ffi::c_int;
    }
    const MADV_HUGEPAGE: std::ffi::c_int = 14;
    // SAFETY: the range is one allocation of ours, aligned to a page, and the advice does not change its contents.
    unsafe { madvise(words.cast(), bytes, MADV_HUGEPAGE) };
}

#[cfg(not(target_os = "linux"))]
fn advise_huge_pages(_words: *mut u32, _bytes: usize) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_zeroed_aligned_and_grow() {
        for length in [0, 1, 1000, HUGE_PAGE / 4, HUGE_PAGE / 2 + 1] {
            let mut buffer = Buffer::new(length);
            assert_eq!(buffer.len(), length);
            assert!(buffer.iter().all(|&word| word == 0));
            assert!(length == 0 || buffer.as_ptr().addr().is_multiple_of(CACHE_LINE));
            buffer.fill(7);
            buffer.reserve(length);
            assert!(buffer.iter().all(|&word| word == 7), "no reallocation when there is room");
            buffer.reserve(length + 1);
            assert_eq!(buffer.len(), length + 1);
        }
    }
}
