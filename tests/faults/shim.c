/* With LD_PRELOAD: plays a bad disk and a wrong clock for a process, controlled through a small mapped file.
 *
 * FAULTS_DATABASE   the file that is watched, together with its -wal and its folder
 * FAULTS_SWITCHES   a file with struct switches
 * FAULTS_LOG        every change of the watched files is appended here: struct record, then its bytes
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { NONE, DATABASE, WAL, FOLDER };
enum { OPEN = 1, WRITE, TRUNCATE, UNLINK, SYNC_BEGINS, SYNC_ENDS };
enum { MOST_FILES = 65536 };

struct record {
    uint8_t kind, file;
    uint16_t unused;
    uint32_t length;
    int64_t offset; /* of a write; the size after a truncate; the thread of a sync */
};

struct switches {
    int64_t clock_seconds; /* added to the time of day */
    int64_t sync_microseconds; /* how much longer a sync takes */
    int64_t sync_fails; /* not 0: a sync of a watched file ends with EIO */
    int64_t die_at; /* kill the process before this change of a watched file, counted from 1; 0: never */
    int64_t changes; /* how many changes of watched files there were */
};

static char database[PATH_MAX], wal[PATH_MAX + 4], folder[PATH_MAX];
static struct switches *switches;
static int log_file = -1;
static unsigned char watched[MOST_FILES];

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void start(void)
{
    const char *path = getenv("FAULTS_DATABASE"), *steered = getenv("FAULTS_SWITCHES"), *log = getenv("FAULTS_LOG");
    if (path) {
        strncpy(database, path, sizeof database - 1);
        strcpy(wal, database);
        strcat(wal, "-wal");
        strcpy(folder, database);
        if (strrchr(folder, '/'))
            *strrchr(folder, '/') = 0;
    }
    if (steered) {
        int file = (int)syscall(SYS_openat, AT_FDCWD, steered, O_RDWR | O_CLOEXEC, 0);
        void *mapped = mmap(0, sizeof *switches, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        syscall(SYS_close, file);
        if (mapped != MAP_FAILED)
            switches = mapped;
    }
    if (log)
        log_file = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_APPEND | O_CLOEXEC, 0);
}

static int named(const char *path)
{
    if (!database[0])
        return NONE;
    return !strcmp(path, database) ? DATABASE : !strcmp(path, wal) ? WAL : !strcmp(path, folder) ? FOLDER : NONE;
}

static int file_of(int fd) { return fd >= 0 && fd < MOST_FILES ? watched[fd] : NONE; }

static void note(int kind, int file, int64_t offset, const void *bytes, size_t length)
{
    struct record record = {(uint8_t)kind, (uint8_t)file, 0, (uint32_t)length, offset};
    struct iovec parts[] = {{&record, sizeof record}, {(void *)bytes, length}};
    int before = errno;
    if (log_file >= 0)
        syscall(SYS_writev, log_file, parts, 2);
    errno = before;
}

static void change(void)
{
    if (switches && __atomic_add_fetch(&switches->changes, 1, __ATOMIC_SEQ_CST) == switches->die_at)
        syscall(SYS_kill, getpid(), SIGKILL);
}

static int opened(int fd, const char *path)
{
    if (fd >= 0 && fd < MOST_FILES && (watched[fd] = (unsigned char)named(path)))
        note(OPEN, watched[fd], 0, 0, 0);
    return fd;
}

#define OPENS(name)                                                                                                    \
    int name(const char *path, int flags, ...)                                                                         \
    {                                                                                                                  \
        va_list rest;                                                                                                  \
        va_start(rest, flags);                                                                                         \
        int mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, int) : 0;                                              \
        va_end(rest);                                                                                                  \
        return opened(REAL(name)(path, flags, mode), path);                                                            \
    }
OPENS(open)
OPENS(open64)

int close(int fd)
{
    if (file_of(fd))
        watched[fd] = NONE;
    return REAL(close)(fd);
}

#define WRITES(name, offset_type)                                                                                      \
    ssize_t name(int fd, const void *bytes, size_t length, offset_type offset)                                         \
    {                                                                                                                  \
        if (!file_of(fd))                                                                                              \
            return REAL(name)(fd, bytes, length, offset);                                                              \
        change();                                                                                                      \
        ssize_t written = REAL(name)(fd, bytes, length, offset);                                                       \
        if (written > 0)                                                                                               \
            note(WRITE, file_of(fd), offset, bytes, (size_t)written);                                                  \
        return written;                                                                                                \
    }
WRITES(pwrite, off_t)
WRITES(pwrite64, off64_t)

ssize_t write(int fd, const void *bytes, size_t length)
{
    if (!file_of(fd))
        return syscall(SYS_write, fd, bytes, length);
    change();
    int64_t offset = lseek(fd, 0, SEEK_CUR);
    ssize_t written = syscall(SYS_write, fd, bytes, length);
    if (written > 0)
        note(WRITE, file_of(fd), offset, bytes, (size_t)written);
    return written;
}

#define TRUNCATES(name, size_type)                                                                                     \
    int name(int fd, size_type size)                                                                                   \
    {                                                                                                                  \
        if (file_of(fd))                                                                                               \
            change();                                                                                                  \
        int failed = REAL(name)(fd, size);                                                                             \
        if (file_of(fd) && !failed)                                                                                    \
            note(TRUNCATE, file_of(fd), size, 0, 0);                                                                   \
        return failed;                                                                                                 \
    }
TRUNCATES(ftruncate, off_t)
TRUNCATES(ftruncate64, off64_t)

int unlink(const char *path)
{
    int file = named(path);
    if (file)
        change();
    int failed = REAL(unlink)(path);
    if (file && !failed)
        note(UNLINK, file, 0, 0, 0);
    return failed;
}

#define SYNCS(name)                                                                                                    \
    int name(int fd)                                                                                                   \
    {                                                                                                                  \
        int file = file_of(fd);                                                                                        \
        if (!file)                                                                                                     \
            return REAL(name)(fd);                                                                                     \
        change();                                                                                                      \
        int64_t thread = syscall(SYS_gettid);                                                                          \
        note(SYNC_BEGINS, file, thread, 0, 0);                                                                         \
        if (switches && switches->sync_microseconds)                                                                   \
            usleep((useconds_t)switches->sync_microseconds);                                                           \
        if (switches && switches->sync_fails) {                                                                        \
            errno = EIO;                                                                                               \
            return -1;                                                                                                 \
        }                                                                                                              \
        int failed = REAL(name)(fd);                                                                                   \
        if (!failed)                                                                                                   \
            note(SYNC_ENDS, file, thread, 0, 0);                                                                       \
        return failed;                                                                                                 \
    }
SYNCS(fsync)
SYNCS(fdatasync)

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int failed = (int)syscall(SYS_clock_gettime, clock, now);
    if (!failed && switches && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += switches->clock_seconds;
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec found;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &found);
    now->tv_sec = found.tv_sec;
    now->tv_usec = found.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *into)
{
    struct timespec found;
    clock_gettime(CLOCK_REALTIME, &found);
    if (into)
        *into = found.tv_sec;
    return found.tv_sec;
}
