;;! What a language's runtime asks of WASI preview 1, answered inside the component.
;;!
;;! Runtimes such as Go's insist on WASI; an operator may import nothing but `wasmill:operator/log`. This module stands
;;! between the two: it becomes part of the finished component, and nothing is left for the host to grant or to close.
;;!
;;! - No files, no network, no arguments, no environment: what names a descriptor is answered "bad descriptor".
;;! - What is written to stdout goes to `log` at level info, to stderr at level error: line by line, cut at 1,024 bytes;
;;!   a byte that is no UTF-8 becomes `?` (the component boundary would trap on it); an empty line is left out.
;;! - The wall clock stands at `context.now` for the whole of a call (1970 before the first): a replay reads the same.
;;! - The monotonic clock moves a microsecond at each reading, and a sleep ends at once and moves it by its length: code
;;!   that waits for time comes to an end, and nothing waits.
;;! - Random bytes follow from `context.seed`: the same call draws the same ones.
;;!
;;! A language's SDK calls three functions beside WASI's, found under the same module name: `wasmill_console` once,
;;! `wasmill_call_begins` and `wasmill_call_ends` around each call of the operator.
(module
  (import "env" "memory" (memory 0))
  (import "wasmill:operator/log@0.1.0" "write" (func $log (param $level i32) (param $text i32) (param $length i32)))

  ;; Two lines that are not complete yet, stdout's and stderr's: a count of bytes (u32), then room for 1,024. Zero =
  ;; there is none yet. The memory is the SDK's, because a runtime may own all of the linear memory: Go's believes that
  ;; what a grow adds follows upon what it had.
  (global $console (mut i32) (i32.const 0))
  (global $wall (mut i64) (i64.const 0))      ;; nanoseconds since 1970
  (global $monotonic (mut i64) (i64.const 0)) ;; nanoseconds
  (global $random (mut i64) (i64.const 0))    ;; state of the generator

  ;; ---- for the SDK ----

  ;; Gives 2,056 zeroed bytes, aligned to 4, that stay where they are for the life of the instance.
  (func (export "wasmill_console") (param $buffer i32)
    (global.set $console (local.get $buffer)))

  ;; `now` in microseconds and `seed` as the call's context has them.
  (func (export "wasmill_call_begins") (param $now i64) (param $seed i64)
    (global.set $wall (i64.mul (local.get $now) (i64.const 1000)))
    (global.set $random (local.get $seed)))

  (func $call_ends (export "wasmill_call_ends")
    (call $flush (i32.const 1))
    (call $flush (i32.const 2)))

  ;; ---- text ----

  ;; The address of the unfinished line of stream 1 or 2.
  (func $line (param $stream i32) (result i32)
    (i32.add (global.get $console) (i32.mul (i32.sub (local.get $stream) (i32.const 1)) (i32.const 1028))))

  ;; Stream 1 is level info (2), stream 2 is level error (4).
  (func $level (param $stream i32) (result i32)
    (i32.shl (local.get $stream) (i32.const 1)))

  (func $print (param $stream i32) (param $at i32) (param $length i32)
    (local $end i32) (local $line i32) (local $count i32) (local $byte i32)
    (local.set $end (i32.add (local.get $at) (local.get $length)))
    (if (i32.eqz (global.get $console)) (then
      ;; The runtime speaks before the SDK has started: nothing to collect a line in, and not ours to repair.
      (call $log (call $level (local.get $stream)) (local.get $at)
        (i32.sub (call $valid_until (local.get $at) (local.get $end)) (local.get $at)))
      (return)))
    (local.set $line (call $line (local.get $stream)))
    (block $done (loop $next
      (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
      (local.set $byte (i32.load8_u (local.get $at)))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (local.set $count (i32.load (local.get $line)))
      (if (i32.eq (local.get $byte) (i32.const 10)) (then
        (call $flush (local.get $stream)))
      (else (if (i32.lt_u (local.get $count) (i32.const 1024)) (then
        (i32.store8 offset=4 (i32.add (local.get $line) (local.get $count)) (local.get $byte))
        (i32.store (local.get $line) (i32.add (local.get $count) (i32.const 1)))))))
      (br $next))))

  ;; Logs the unfinished line of a stream, if there is one.
  (func $flush (param $stream i32)
    (local $line i32) (local $text i32) (local $end i32) (local $bad i32)
    (if (i32.eqz (global.get $console)) (then (return)))
    (local.set $line (call $line (local.get $stream)))
    (local.set $text (i32.add (local.get $line) (i32.const 4)))
    (local.set $end (i32.add (local.get $text) (i32.load (local.get $line))))
    (if (i32.eq (local.get $text) (local.get $end)) (then (return)))
    (local.set $bad (local.get $text))
    (block $valid (loop $repair
      (br_if $valid (i32.eq (local.tee $bad (call $valid_until (local.get $bad) (local.get $end))) (local.get $end)))
      (i32.store8 (local.get $bad) (i32.const 63)) ;; ?
      (br $repair)))
    (i32.store (local.get $line) (i32.const 0))
    (call $log (call $level (local.get $stream)) (local.get $text) (i32.sub (local.get $end) (local.get $text))))

  ;; The address of the first byte in [at, end) that begins no valid UTF-8 sequence, or end.
  (func $valid_until (param $at i32) (param $end i32) (result i32)
    (local $lead i32) (local $more i32) (local $point i32) (local $byte i32) (local $i i32)
    (block $invalid
      (loop $next
        (if (i32.ge_u (local.get $at) (local.get $end)) (then (return (local.get $end))))
        (local.set $lead (i32.load8_u (local.get $at)))
        (if (i32.lt_u (local.get $lead) (i32.const 0x80)) (then
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (br $next)))
        ;; As many bytes follow as the first has leading ones, less one: one to three.
        (local.set $more (i32.sub
          (i32.clz (i32.xor (i32.shl (local.get $lead) (i32.const 24)) (i32.const -1)))
          (i32.const 1)))
        (br_if $invalid (i32.gt_u (i32.sub (local.get $more) (i32.const 1)) (i32.const 2)))
        (br_if $invalid (i32.ge_u (i32.add (local.get $at) (local.get $more)) (local.get $end)))
        (local.set $point (i32.and (local.get $lead) (i32.shr_u (i32.const 0x3f) (local.get $more))))
        (local.set $i (i32.const 1))
        (loop $following
          (local.set $byte (i32.load8_u (i32.add (local.get $at) (local.get $i))))
          (br_if $invalid (i32.ne (i32.and (local.get $byte) (i32.const 0xc0)) (i32.const 0x80)))
          (local.set $point (i32.or
            (i32.shl (local.get $point) (i32.const 6))
            (i32.and (local.get $byte) (i32.const 0x3f))))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $following (i32.le_u (local.get $i) (local.get $more))))
        ;; Two bytes begin at 1 << 7, three at 1 << 11, four at 1 << 16: shorter ones must not be written longer.
        (br_if $invalid (i32.lt_u (local.get $point) (i32.shl (i32.const 1) (i32.add
          (i32.add (i32.mul (local.get $more) (i32.const 5)) (i32.const 1))
          (i32.eq (local.get $more) (i32.const 1))))))
        (br_if $invalid (i32.eq (i32.and (local.get $point) (i32.const 0xfffff800)) (i32.const 0xd800)))
        (br_if $invalid (i32.gt_u (local.get $point) (i32.const 0x10ffff)))
        (local.set $at (i32.add (local.get $at) (local.get $i)))
        (br $next)))
    (local.get $at))

  (func (export "fd_write") (param $fd i32) (param $vectors i32) (param $count i32) (param $written i32) (result i32)
    (local $sum i32)
    (if (i32.gt_u (i32.sub (local.get $fd) (i32.const 1)) (i32.const 1)) (then (return (i32.const 8))))
    (block $done (loop $next
      (br_if $done (i32.eqz (local.get $count)))
      (call $print (local.get $fd) (i32.load (local.get $vectors)) (i32.load offset=4 (local.get $vectors)))
      (local.set $sum (i32.add (local.get $sum) (i32.load offset=4 (local.get $vectors))))
      (local.set $vectors (i32.add (local.get $vectors) (i32.const 8)))
      (local.set $count (i32.sub (local.get $count) (i32.const 1)))
      (br $next)))
    (i32.store (local.get $written) (local.get $sum))
    (i32.const 0))

  ;; ---- time, chance, the end ----

  (func (export "clock_time_get") (param $clock i32) (param $precision i64) (param $time i32) (result i32)
    (if (i32.eqz (local.get $clock))
      (then (i64.store (local.get $time) (global.get $wall)))
      (else
        (global.set $monotonic (i64.add (global.get $monotonic) (i64.const 1000)))
        (i64.store (local.get $time) (global.get $monotonic))))
    (i32.const 0))

  (func (export "clock_res_get") (param $clock i32) (param $resolution i32) (result i32)
    (i64.store (local.get $resolution) (i64.const 1000))
    (i32.const 0))

  ;; splitmix64, a byte of each number.
  (func (export "random_get") (param $at i32) (param $length i32) (result i32)
    (local $z i64)
    (block $done (loop $next
      (br_if $done (i32.eqz (local.get $length)))
      (global.set $random (i64.add (global.get $random) (i64.const 0x9e3779b97f4a7c15)))
      (local.set $z (global.get $random))
      (local.set $z (i64.mul
        (i64.xor (local.get $z) (i64.shr_u (local.get $z) (i64.const 30))) (i64.const 0xbf58476d1ce4e5b9)))
      (local.set $z (i64.mul
        (i64.xor (local.get $z) (i64.shr_u (local.get $z) (i64.const 27))) (i64.const 0x94d049bb133111eb)))
      (i64.store8 (local.get $at) (i64.xor (local.get $z) (i64.shr_u (local.get $z) (i64.const 31))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (local.set $length (i32.sub (local.get $length) (i32.const 1)))
      (br $next)))
    (i32.const 0))

  ;; Every subscription is answered at once: a clock by moving the monotonic one, a descriptor with "bad descriptor".
  (func (export "poll_oneoff") (param $in i32) (param $out i32) (param $count i32) (param $events i32) (result i32)
    (i32.store (local.get $events) (local.get $count))
    (block $done (loop $next
      (br_if $done (i32.eqz (local.get $count)))
      (i64.store (local.get $out) (i64.load (local.get $in)))
      (i32.store offset=8 (local.get $out) (i32.shl (i32.load8_u offset=8 (local.get $in)) (i32.const 16)))
      (i64.store offset=16 (local.get $out) (i64.const 0))
      (i64.store offset=24 (local.get $out) (i64.const 0))
      (if (i32.load8_u offset=8 (local.get $in))
        (then (i32.store16 offset=8 (local.get $out) (i32.const 8)))
        (else (call $sleep (i64.load offset=24 (local.get $in)) (i32.load16_u offset=40 (local.get $in)))))
      (local.set $in (i32.add (local.get $in) (i32.const 48)))
      (local.set $out (i32.add (local.get $out) (i32.const 32)))
      (local.set $count (i32.sub (local.get $count) (i32.const 1)))
      (br $next)))
    (i32.const 0))

  ;; `flags` 1: until that time; else for so long.
  (func $sleep (param $time i64) (param $flags i32)
    (if (i32.eqz (local.get $flags)) (then
      (local.set $time (i64.add (global.get $monotonic) (local.get $time)))))
    (if (i64.gt_u (local.get $time) (global.get $monotonic)) (then
      (global.set $monotonic (local.get $time)))))

  (func (export "proc_exit") (param $code i32)
    (call $call_ends)
    unreachable)

  ;; ---- what is not there ----

  (func (export "sched_yield") (result i32) (i32.const 0))
  (func $nothing (param i32 i32) (result i32) (i32.const 0))
  (export "args_get" (func $nothing))
  (export "environ_get" (func $nothing))
  (func $none (param $count i32) (param $bytes i32) (result i32)
    (i32.store (local.get $count) (i32.const 0))
    (i32.store (local.get $bytes) (i32.const 0))
    (i32.const 0))
  (export "args_sizes_get" (func $none))
  (export "environ_sizes_get" (func $none))

  ;; 8 is `badf`, 52 is `nosys`.
  (func (export "proc_raise") (param i32) (result i32) (i32.const 52))
  (func $bad_1 (param i32) (result i32) (i32.const 8))
  (export "fd_close" (func $bad_1))
  (export "fd_datasync" (func $bad_1))
  (export "fd_sync" (func $bad_1))
  (func $bad_2 (param i32 i32) (result i32) (i32.const 8))
  (export "fd_fdstat_get" (func $bad_2))
  (export "fd_fdstat_set_flags" (func $bad_2))
  (export "fd_filestat_get" (func $bad_2))
  (export "fd_prestat_get" (func $bad_2))
  (export "fd_renumber" (func $bad_2))
  (export "fd_tell" (func $bad_2))
  (export "sock_shutdown" (func $bad_2))
  (func $bad_3 (param i32 i32 i32) (result i32) (i32.const 8))
  (export "fd_prestat_dir_name" (func $bad_3))
  (export "path_create_directory" (func $bad_3))
  (export "path_remove_directory" (func $bad_3))
  (export "path_unlink_file" (func $bad_3))
  (export "sock_accept" (func $bad_3))
  (func $bad_5 (param i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (export "path_filestat_get" (func $bad_5))
  (export "path_symlink" (func $bad_5))
  (export "sock_send" (func $bad_5))
  (func $bad_6 (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (export "path_readlink" (func $bad_6))
  (export "path_rename" (func $bad_6))
  (export "sock_recv" (func $bad_6))
  (func $bad_at (param i32 i32 i32 i64 i32) (result i32) (i32.const 8))
  (export "fd_pread" (func $bad_at))
  (export "fd_pwrite" (func $bad_at))
  (export "fd_readdir" (func $bad_at))
  (func (export "fd_read") (param i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "fd_seek") (param i32 i64 i32 i32) (result i32) (i32.const 8))
  (func (export "fd_advise") (param i32 i64 i64 i32) (result i32) (i32.const 8))
  (func $bad_range (param i32 i64 i64) (result i32) (i32.const 8))
  (export "fd_allocate" (func $bad_range))
  (export "fd_fdstat_set_rights" (func $bad_range))
  (func (export "fd_filestat_set_size") (param i32 i64) (result i32) (i32.const 8))
  (func (export "fd_filestat_set_times") (param i32 i64 i64 i32) (result i32) (i32.const 8))
  (func (export "path_filestat_set_times") (param i32 i32 i32 i32 i64 i64 i32) (result i32) (i32.const 8))
  (func (export "path_link") (param i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_open") (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32) (i32.const 8)))
