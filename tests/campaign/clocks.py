"""Clocks that are wrong: a library, preloaded, adds `CAMPAIGN_CLOCK` seconds to the time of day."""

import calendar
import shutil
import subprocess
import time

SOURCE = """\
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long shift(void) {
  const char *text = getenv("CAMPAIGN_CLOCK");
  return text ? atol(text) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
  int result = syscall(SYS_clock_gettime, clock, time);
  if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
    time->tv_sec += shift();
  return result;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
  struct timespec now;
  (void)zone;
  if (clock_gettime(CLOCK_REALTIME, &now) != 0)
    return -1;
  time->tv_sec = now.tv_sec;
  time->tv_usec = now.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *result) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (result)
    *result = now.tv_sec;
  return now.tv_sec;
}
"""


def build(folder):
    """Builds the library. None, with a reason, where that is not possible."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None, "there is no C compiler"
    source, library = folder / "clock.c", folder / "clock.so"
    source.write_text(SOURCE)
    result = subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60,
    )
    if result.returncode != 0:
        return None, result.stdout.strip()
    return library, None


def variables(library, seconds):
    """What makes a process believe in another time."""
    if library is None or seconds == 0:
        return {}
    return {"LD_PRELOAD": str(library), "CAMPAIGN_CLOCK": str(seconds)}


def is_wrong_by(seconds, timestamp, began, ended):
    """Whether a record's time is that of a clock that is wrong by so much."""
    written = calendar.timegm(time.strptime(timestamp, "%Y-%m-%dT%H:%M:%SZ"))
    return seconds != 0 and began + seconds - 3 <= written <= ended + seconds + 3
