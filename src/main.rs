//! The `nbgate` command.

fn main() -> std::process::ExitCode {
    nbgate::cli::main()
}
