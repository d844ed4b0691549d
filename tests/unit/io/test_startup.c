/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_startup.c - a host that has no io_uring for us is told what to change.
 *
 * Each fact puts a host behind struct io_system and reads the sentence.
 */
#include <liburing.h>

#include "io/io_system.h"
#include "io_test.h"

static const char *host_release;
static int host_disabled;
static uint64_t host_memlock;
static int host_setup;
static int host_buf_ring;
static int host_files;

static int fake_release(char *buf, size_t len)
{
	snprintf(buf, len, "%s", host_release);
	return 0;
}

static int fake_disabled(void)
{
	return host_disabled;
}

static int fake_memlock(uint64_t *bytes)
{
	*bytes = host_memlock;
	return 0;
}

static int fake_setup(uint32_t entries, struct io_uring *ring,
		      struct io_uring_params *p)
{
	if (host_setup != 0)
		return host_setup;
	return io_system_real.setup(entries, ring, p);
}

static int fake_register_ring(struct io_uring *ring)
{
	return -EINVAL;
}

static int fake_register_buf_ring(struct io_uring *ring,
				  struct io_uring_buf_reg *reg)
{
	if (host_buf_ring != 0)
		return host_buf_ring;
	return io_system_real.register_buf_ring(ring, reg);
}

static int fake_register_files(struct io_uring *ring, uint32_t slots)
{
	if (host_files != 0)
		return host_files;
	return io_system_real.register_files(ring, slots);
}

static const struct io_system fake = {
	.release = fake_release,
	.disabled = fake_disabled,
	.memlock = fake_memlock,
	.setup = fake_setup,
	.register_ring = fake_register_ring,
	.register_buf_ring = fake_register_buf_ring,
	.register_files = fake_register_files,
};

static int host_reset(void **state)
{
	host_release = "6.1.0-18-amd64";
	host_disabled = 0;
	host_memlock = 8 << 20;
	host_setup = 0;
	host_buf_ring = 0;
	host_files = 0;
	return 0;
}

/* Fails to open with `code`, says every one of the words, opens nothing. */
static void refuses(int code, const char *const *words)
{
	struct io *io = NULL;
	struct io_options o = {
		.entries = 64, .recv_buffers = 4, .recv_buffer_bytes = 64};
	struct err e = {""};
	assert_int_equal(io_open_on(&io, &o, &fake, &e), code);
	assert_null(io);
	assert_null(strchr(e.text, '\n'));
	for (; *words != NULL; words++)
		if (strstr(e.text, *words) == NULL)
			fail_msg("no \"%s\" in: %s", *words, e.text);
	/* and without an err to write to it must not crash */
	assert_int_equal(io_open_on(&io, &o, &fake, NULL), code);
}

#define REFUSES(code, ...)                                                     \
	refuses(code, (const char *const[]){__VA_ARGS__, NULL})

static void an_old_kernel_is_named(void **state)
{
	static const char *const old[] = {"5.10.0-28-amd64", "6.0.19", "4.19",
					  "5.15.0-101-generic", "2.6.32"};
	for (size_t i = 0; i < sizeof(old) / sizeof(old[0]); i++) {
		host_release = old[i];
		REFUSES(-ENOSYS, old[i], "6.1", "newer kernel");
	}
	static const char *const fine[] = {"6.1.0", "6.18.44-x", "7.0", "10.2"};
	for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++) {
		host_release = fine[i];
		assert_int_equal(io_system_check(&fake, NULL), 0);
	}
}

static void the_sysctl_is_named(void **state)
{
	host_setup = -EPERM;
	host_disabled = 2;
	REFUSES(-EPERM, "kernel.io_uring_disabled is 2",
		"sysctl -w kernel.io_uring_disabled=0");
	host_disabled = 1;
	REFUSES(-EPERM, "kernel.io_uring_disabled is 1",
		"kernel.io_uring_group", "kernel.io_uring_disabled=0");
}

static void a_seccomp_filter_is_suspected(void **state)
{
	host_setup = -EPERM;
	host_disabled = 0;
	REFUSES(-EPERM, "seccomp", "io_uring_setup", "io_uring_enter",
		"io_uring_register");
	host_disabled = -ENOENT; /* before Linux 6.6 there is no such file */
	REFUSES(-EPERM, "seccomp");
	host_setup = -ENOSYS;
	REFUSES(-ENOSYS, "seccomp", "CONFIG_IO_URING");
}

static void too_little_lockable_memory_is_named(void **state)
{
	host_setup = -ENOMEM;
	host_memlock = 64 << 10;
	REFUSES(-ENOMEM, "RLIMIT_MEMLOCK", "64 KiB", "LimitMEMLOCK=");
	host_memlock = UINT64_MAX;
	REFUSES(-ENOMEM, "unlimited", "MemoryMax=");
}

static void other_refusals_say_what_helps(void **state)
{
	host_setup = -EMFILE;
	REFUSES(-EMFILE, "LimitNOFILE=");
	host_setup = -ENFILE;
	REFUSES(-ENFILE, "fs.file-max");
	host_setup = -EINVAL;
	REFUSES(-EINVAL, "6.1");
	host_setup = -EFAULT;
	REFUSES(-EFAULT, "io_uring_setup");
}

/* The ring is there by then: it must be taken down again. */
static void a_refused_buffer_ring_leaves_nothing_open(void **state)
{
	int before = open_descriptors();
	host_buf_ring = -ENOMEM;
	REFUSES(-ENOMEM, "buffer ring", "RLIMIT_MEMLOCK");
	assert_int_equal(open_descriptors(), before);
}

static void impossible_options_are_named(void **state)
{
	static const uint32_t counts[] = {3, 65536, 40000};
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		struct io *io = NULL;
		struct io_options o = {.recv_buffers = counts[i],
				       .recv_buffer_bytes = 64};
		struct err e = {""};
		assert_int_equal(io_open_on(&io, &o, &fake, &e), -EINVAL);
		assert_non_null(strstr(e.text, "power of two"));
		assert_null(io);
	}
}

/* What the sentences speak of is read from this host. */
static void the_real_host_can_be_asked(void **state)
{
	uint64_t bytes = 0;
	char release[65] = "";
	int disabled = io_system_real.disabled();
	assert_true(disabled == -ENOENT || (disabled >= 0 && disabled <= 2));
	assert_int_equal(io_system_real.memlock(&bytes), 0);
	assert_true(bytes > 0);
	assert_int_equal(io_system_real.release(release, sizeof(release)), 0);
	assert_true(release[0] > '0' && release[0] <= '9');
	assert_int_equal(io_system_check(&io_system_real, NULL), 0);
}

/* No options at all: a loop of the usual size. */
static void options_have_defaults(void **state)
{
	struct io *io = NULL;
	struct io_options o = {0};
	assert_int_equal(io_open(&io, &o, NULL), 0);
	assert_int_equal(io_step(io, 0), 0);
	io_close(&io);
}

/* The registered ring descriptor is a gain, not a need. */
static void without_a_registered_ring_it_still_works(void **state)
{
	struct io *io = NULL;
	struct io_options o = {.entries = 64};
	assert_int_equal(io_open_on(&io, &o, &fake, NULL), 0);
	int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	char byte = 1;
	struct seen s;
	seen_init(&s);
	io_read(io, &s.op, fd, &byte, 1, 0);
	assert_int_equal(seen_wait(io, &s), 1);
	close(fd);
	io_close(&io);
}

#define FACT(f) cmocka_unit_test_setup(f, host_reset)

static void opens(struct io **io, struct io_stats *st)
{
	struct io_options o = {.entries = 64, .file_slots = 64};
	struct err e = {""};
	if (io_open_on(io, &o, &fake, &e) != 0)
		fail_msg("%s", e.text);
	io_stats(*io, st);
}

/* Without registered files all goes by number, and nobody need know. */
static void a_kernel_without_registered_files_will_do(void **state)
{
	static const int codes[] = {-EINVAL, -EPERM, -ENOMEM};
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		struct io *io = NULL;
		struct io_stats st;
		struct seen s;
		char byte = 1;
		host_files = codes[i];
		opens(&io, &st);
		assert_int_equal(st.file_slots, 0);
		int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
		assert_int_equal(io_file_register(io, zero, 0), -EOPNOTSUPP);
		io_file_unregister(io, zero);
		seen_init(&s);
		assert_int_equal(io_read(io, &s.op, zero, &byte, 1, 0), 0);
		assert_int_equal(seen_wait(io, &s), 1);
		assert_int_equal(byte, 0);
		assert_int_equal(io_close_fd(io, zero), 0);
		io_close(&io);
	}
}

/* Before 6.13 a request that waits on one slot kept the files of all others
 * open: sockets must not have slots there, files may. */
static void sockets_have_no_slots_before_linux_6_13(void **state)
{
	static const char *const release[] = {"6.1.0-18-amd64", "6.12.9",
					      "6.13.0-rc1", "7.0.1"};
	int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	for (size_t i = 0; i < sizeof(release) / sizeof(release[0]); i++) {
		struct io *io = NULL;
		struct io_stats st;
		host_release = release[i];
		opens(&io, &st);
		assert_int_equal(st.file_slots, 64);
		assert_int_equal(io_file_register(io, zero, IO_FILE_WAITS),
				 i < 2 ? -EOPNOTSUPP : 0);
		assert_int_equal(io_file_register(io, zero, 0), 0);
		io_close(&io);
	}
	close(zero);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FACT(an_old_kernel_is_named),
		FACT(the_sysctl_is_named),
		FACT(a_seccomp_filter_is_suspected),
		FACT(too_little_lockable_memory_is_named),
		FACT(other_refusals_say_what_helps),
		FACT(a_refused_buffer_ring_leaves_nothing_open),
		FACT(impossible_options_are_named),
		FACT(the_real_host_can_be_asked),
		FACT(options_have_defaults),
		FACT(without_a_registered_ring_it_still_works),
		FACT(a_kernel_without_registered_files_will_do),
		FACT(sockets_have_no_slots_before_linux_6_13),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
