//! The command line: one file a command, one table of commands, one place that turns results into exit codes.
