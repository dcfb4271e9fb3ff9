//! The binary: an allocator and a call.

/// Interned texts and batches are many small, short-lived allocations from several threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    journeyql::cli::main()
}
