/* A virtual clock for processes that know nothing of it: preloaded, it adds one shared offset to CLOCK_REALTIME.
 *
 * VIRTUAL_CLOCK names a folder with two files, made by `clock` (beside this file) before any process starts:
 *   offset    int64, nanoseconds to add; changed by one aligned store, so that nobody ever reads half of it
 *   sleepers  struct sleeper[], where those who sleep long say until when: what may be skipped, and how far
 * Monotonic clocks stay as they are: time-outs of sockets, locks and event loops mean real seconds. Deadlines on
 * CLOCK_REALTIME are mapped back to real time. Long sleeps (`time.sleep` of Python is clock_nanosleep on
 * CLOCK_MONOTONIC) follow virtual time in slices. Without the files, everything is as without this library.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define SECOND INT64_C(1000000000)
#define SLICE (SECOND / 10)      /* how soon a long sleep notices a jump */
#define LONG_SLEEP SECOND        /* shorter ones are left alone */
#define EXPORT __attribute__((visibility("default")))

struct sleeper {
    _Atomic int64_t until; /* virtual nanoseconds since the epoch; 0: free, -1: being filled */
    char name[248];        /* who sleeps: a task instance or a trigger */
};

static const _Atomic int64_t *offset_file;
static struct sleeper *sleepers;
static size_t sleeper_count;

static int (*real_clock_gettime)(clockid_t, struct timespec *);
static int (*real_clock_nanosleep)(clockid_t, int, const struct timespec *, struct timespec *);
static int (*real_cond_timedwait)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
static int (*real_cond_clockwait)(pthread_cond_t *, pthread_mutex_t *, clockid_t, const struct timespec *);
static int (*real_mutex_timedlock)(pthread_mutex_t *, const struct timespec *);
static int (*real_sem_timedwait)(sem_t *, const struct timespec *);
static int (*real_sem_clockwait)(sem_t *, clockid_t, const struct timespec *);
static int (*real_timerfd_settime)(int, int, const struct itimerspec *, struct itimerspec *);

static void *map_file(const char *folder, const char *name, int writable, size_t *size)
{
    char path[4096];
    struct stat facts;
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path) return NULL;
    int file = open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);
    if (file < 0) return NULL;
    void *mapped = MAP_FAILED;
    if (fstat(file, &facts) == 0 && facts.st_size >= (off_t)sizeof(int64_t)) {
        *size = (size_t)facts.st_size;
        mapped = mmap(NULL, *size, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, file, 0);
    }
    close(file);
    return mapped == MAP_FAILED ? NULL : mapped;
}

#define FIND(name) real_##name = (__typeof__(real_##name))dlsym(RTLD_NEXT, #name)
#define FIND_THREAD(name) real_##name = (__typeof__(real_##name))dlsym(RTLD_NEXT, "pthread_" #name)

__attribute__((constructor)) static void start(void)
{
    static int started;
    if (started) return;
    started = 1;
    FIND(clock_gettime);
    FIND(clock_nanosleep);
    FIND(sem_timedwait);
    FIND(sem_clockwait);
    FIND(timerfd_settime);
    FIND_THREAD(cond_timedwait);
    FIND_THREAD(cond_clockwait);
    FIND_THREAD(mutex_timedlock);
    const char *folder = getenv("VIRTUAL_CLOCK");
    size_t size = 0;
    if (folder == NULL) return;
    sleepers = map_file(folder, "sleepers", 1, &size);
    sleeper_count = sleepers == NULL ? 0 : size / sizeof(struct sleeper);
    offset_file = map_file(folder, "offset", 0, &size);
}

static int64_t offset(void) { return offset_file == NULL ? 0 : atomic_load(offset_file); }

static int64_t nanoseconds(const struct timespec *t) { return t->tv_sec * SECOND + t->tv_nsec; }

static struct timespec timespec_of(int64_t ns)
{
    int64_t rest = ns % SECOND;
    if (rest < 0) rest += SECOND;
    return (struct timespec){.tv_sec = (ns - rest) / SECOND, .tv_nsec = rest};
}

static int is_realtime(clockid_t clock) { return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE; }

static int64_t read_clock(clockid_t clock)
{
    struct timespec now = {0};
    real_clock_gettime(clock, &now);
    return nanoseconds(&now);
}

/* A deadline on CLOCK_REALTIME as the kernel has to hear it. */
static struct timespec real_deadline(const struct timespec *virtual_deadline)
{
    int64_t real = nanoseconds(virtual_deadline) - offset();
    return timespec_of(real < 0 ? 0 : real);
}

/* ---- reading the clock */

EXPORT int clock_gettime(clockid_t clock, struct timespec *now)
{
    if (real_clock_gettime == NULL) start();
    int failed = real_clock_gettime(clock, now);
    if (!failed && is_realtime(clock)) *now = timespec_of(nanoseconds(now) + offset());
    return failed;
}

EXPORT int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec t;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &t)) return -1;
    now->tv_sec = t.tv_sec;
    now->tv_usec = t.tv_nsec / 1000;
    return 0;
}

EXPORT time_t time(time_t *seconds)
{
    struct timespec t;
    if (clock_gettime(CLOCK_REALTIME, &t)) return (time_t)-1;
    if (seconds != NULL) *seconds = t.tv_sec;
    return t.tv_sec;
}

EXPORT int timespec_get(struct timespec *now, int base)
{
    return base == TIME_UTC && clock_gettime(CLOCK_REALTIME, now) == 0 ? base : 0;
}

/* ---- waiting until a moment of the clock */

EXPORT int pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex, const struct timespec *until)
{
    if (real_cond_timedwait == NULL) start();
    /* A condition may be on the monotonic clock by its attribute, whose deadlines lie decades before any of now. */
    if (nanoseconds(until) < read_clock(CLOCK_REALTIME) / 2) return real_cond_timedwait(condition, mutex, until);
    struct timespec real = real_deadline(until);
    return real_cond_timedwait(condition, mutex, &real);
}

EXPORT int pthread_cond_clockwait(
    pthread_cond_t *condition, pthread_mutex_t *mutex, clockid_t clock, const struct timespec *until)
{
    if (real_cond_clockwait == NULL) start();
    struct timespec real = is_realtime(clock) ? real_deadline(until) : *until;
    return real_cond_clockwait(condition, mutex, clock, &real);
}

EXPORT int pthread_mutex_timedlock(pthread_mutex_t *restrict mutex, const struct timespec *restrict until)
{
    if (real_mutex_timedlock == NULL) start();
    struct timespec real = real_deadline(until);
    return real_mutex_timedlock(mutex, &real);
}

EXPORT int sem_timedwait(sem_t *restrict semaphore, const struct timespec *restrict until)
{
    if (real_sem_timedwait == NULL) start();
    struct timespec real = real_deadline(until);
    return real_sem_timedwait(semaphore, &real);
}

EXPORT int sem_clockwait(sem_t *restrict semaphore, clockid_t clock, const struct timespec *restrict until)
{
    if (real_sem_clockwait == NULL) start();
    struct timespec real = is_realtime(clock) ? real_deadline(until) : *until;
    return real_sem_clockwait(semaphore, clock, &real);
}

EXPORT int timerfd_settime(int timer, int flags, const struct itimerspec *new, struct itimerspec *old)
{
    if (real_timerfd_settime == NULL) start();
    struct itimerspec real = *new;
    /* A monotonic deadline lies decades before any of now. */
    if ((flags & TFD_TIMER_ABSTIME) && nanoseconds(&new->it_value) > read_clock(CLOCK_REALTIME) / 2)
        real.it_value = real_deadline(&new->it_value);
    return real_timerfd_settime(timer, flags, &real, old);
}

/* ---- sleeping */

/* Say that `name` sleeps until that virtual moment. The place, for `sleep_ends`, or -1. */
EXPORT int virtual_clock_sleep_begins(int64_t until, const char *name)
{
    int64_t now = read_clock(CLOCK_REALTIME) + offset();
    for (size_t i = 0; i < sleeper_count; i++) {
        int64_t seen = atomic_load(&sleepers[i].until);
        /* One who was killed leaves a place behind, which is free an hour after it would have woken up. */
        if (seen != 0 && (seen == -1 || seen > now - 3600 * SECOND)) continue;
        if (!atomic_compare_exchange_strong(&sleepers[i].until, &seen, -1)) continue;
        snprintf(sleepers[i].name, sizeof sleepers[i].name, "%s", name);
        atomic_store(&sleepers[i].until, until);
        return (int)i;
    }
    return -1;
}

/* Free the place, if it still is of who began to sleep `until` then: after a jump it may have been taken, see above,
 * by another who woke up first. That one's `until` is another: nobody begins to sleep until an hour ago. */
EXPORT void virtual_clock_sleep_ends(int place, int64_t until)
{
    if (place >= 0 && (size_t)place < sleeper_count)
        atomic_compare_exchange_strong(&sleepers[place].until, &until, 0);
}

/* A task's own process says that it sleeps; its name is what Airflow exports to it. */
static int announce_task(int64_t until)
{
    char name[sizeof sleepers->name];
    const char *dag = getenv("AIRFLOW_CTX_DAG_ID"), *run = getenv("AIRFLOW_CTX_DAG_RUN_ID");
    const char *task = getenv("AIRFLOW_CTX_TASK_ID");
    /* Only the main thread: while another sleeps, the task may be at work. */
    if (dag == NULL || run == NULL || task == NULL || syscall(SYS_gettid) != getpid()) return -1;
    snprintf(name, sizeof name, "task %s/%s/%s", dag, run, task);
    return virtual_clock_sleep_begins(until, name);
}

static int sleep_in_slices(int64_t deadline)
{
    int64_t until = deadline + offset(), now;
    int64_t wall = read_clock(CLOCK_REALTIME) + offset() + deadline - read_clock(CLOCK_MONOTONIC);
    int place = announce_task(wall), failed = 0;
    while (!failed && (now = read_clock(CLOCK_MONOTONIC)) + offset() < until) {
        int64_t left = until - now - offset();
        struct timespec end = timespec_of(now + (left < SLICE ? left : SLICE));
        failed = real_clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, NULL);
    }
    virtual_clock_sleep_ends(place, wall);
    return failed;
}

EXPORT int clock_nanosleep(clockid_t clock, int flags, const struct timespec *wanted, struct timespec *left)
{
    if (real_clock_nanosleep == NULL) start();
    if (flags & TIMER_ABSTIME) {
        if (clock == CLOCK_MONOTONIC && offset_file != NULL &&
            nanoseconds(wanted) - read_clock(CLOCK_MONOTONIC) >= LONG_SLEEP)
            return sleep_in_slices(nanoseconds(wanted));
        if (clock == CLOCK_REALTIME) {
            struct timespec real = real_deadline(wanted);
            return real_clock_nanosleep(clock, flags, &real, left);
        }
    }
    return real_clock_nanosleep(clock, flags, wanted, left);
}
