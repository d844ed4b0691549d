/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_text.c - names and texts: domains, addresses, strings to numbers,
 * states, errors.
 */
#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sluice/addr.h"
#include "sluice/assert.h"
#include "sluice/domain.h"
#include "sluice/err.h"
#include "sluice/intern.h"
#include "sluice/outcome.h"
#include "sluice/role.h"
#include "unit.h"

static const char *normal(const char *in)
{
	static char out[DOMAIN_BYTES];
	return domain_normalise(in, strlen(in), out) == 0 ? out : NULL;
}

/* Catches: one domain counted as two because it was spelt in two ways. */
static void a_domain_has_one_spelling(void **state)
{
	assert_string_equal(normal("Example.ORG"), "example.org");
	assert_string_equal(normal("example.org."), "example.org");
	assert_string_equal(normal("B\xc3\xbc"
				   "cher.example"),
			    "xn--bcher-kva.example");
	assert_string_equal(normal("b\xc3\x9c"
				   "cher.EXAMPLE."),
			    "xn--bcher-kva.example");
	assert_string_equal(normal("XN--BCHER-KVA.example"),
			    "xn--bcher-kva.example");
	assert_string_equal(normal("stra\xc3\x9f"
				   "e.example"),
			    "xn--strae-oqa.example");
	assert_string_equal(normal("_x.a_b.example"), "_x.a_b.example");
	assert_string_equal(normal("localhost"), "localhost");
	assert_string_equal(normal("[192.0.2.1]"), "[192.0.2.1]");
	assert_string_equal(normal("[ipv6:2001:DB8:0::1]"),
			    "[IPv6:2001:db8::1]");
}

/* Catches: what is no domain becoming a queue, or reaching DNS. */
static void what_is_no_domain_is_refused(void **state)
{
	static const char *const bad[] = {"",
					  ".",
					  "..",
					  ".a.b",
					  "a..b",
					  "a.b..",
					  "a b.c",
					  "a,b",
					  "-a.b",
					  "a-.b",
					  "a.-b",
					  "192.0.2.1",
					  "a.123",
					  "a@b",
					  "[192.0.2.1",
					  "[192.0.2.256]",
					  "[]",
					  "[2001:db8::1]",
					  "a/b",
					  "a\tb",
					  "\xff\xfe.example",
					  "a:25",
					  "*.example.org"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (normal(bad[i]) != NULL)
			fail_msg("'%s' was taken as '%s'", bad[i],
				 normal(bad[i]));
	}
	char out[DOMAIN_BYTES] = "untouched";
	assert_int_equal(domain_normalise("a\0.b", 4, out), -EINVAL);
	assert_string_equal(out, "untouched");
}

/* Catches: buffers sized for the legal length only. */
static void lengths_end_at_63_and_253(void **state)
{
	char name[1000];
	char out[DOMAIN_BYTES];
	memset(name, 'a', sizeof(name));
	name[63] = '.';
	assert_int_equal(domain_normalise(name, 65, out), 0);
	name[63] = 'a';
	assert_int_equal(domain_normalise(name, 64, out), -EINVAL);
	for (size_t i = 49; i < 260; i += 50)
		name[i] = '.';
	assert_int_equal(domain_normalise(name, 253, out), 0);
	assert_int_equal(strlen(out), 253);
	assert_int_equal(domain_normalise(name, 254, out), -EINVAL);
	for (size_t len = 254; len <= sizeof(name); len++)
		assert_int_equal(domain_normalise(name, len, out), -EINVAL);
	for (size_t i = 0; i + 1 < sizeof(name); i += 2)
		name[i] = (char)0xc3, name[i + 1] = (char)0xbc;
	for (size_t len = 2; len <= sizeof(name); len += 2)
		(void)domain_normalise(name, len, out);
}

static void the_domain_follows_the_last_unquoted_at(void **state)
{
	assert_string_equal(mail_address_domain("a@b.c"), "b.c");
	assert_string_equal(mail_address_domain("\"a@x\"@b.c"), "b.c");
	assert_string_equal(mail_address_domain("\"a\\\"@x\"@b.c"), "b.c");
	assert_string_equal(mail_address_domain("a@b@c"), "c");
	assert_string_equal(mail_address_domain("a@[192.0.2.1]"),
			    "[192.0.2.1]");
	assert_null(mail_address_domain(""));
	assert_null(mail_address_domain("postmaster"));
	assert_null(mail_address_domain("a@"));
	assert_null(mail_address_domain("\"a@b.c"));
	assert_null(mail_address_domain("a\\@b.c"));
	assert_null(mail_address_domain("a\\"));
}

static void patterns_match_below_the_name_only(void **state)
{
	assert_true(domain_match("*", "anything"));
	assert_true(domain_match("*.Example.com", "mx1.example.COM"));
	assert_true(domain_match("*.example.com", "a.b.example.com."));
	assert_false(domain_match("*.example.com", "example.com"));
	assert_false(domain_match("*.example.com", "badexample.com"));
	assert_false(domain_match("*.example.com", ".example.com"));
	assert_true(domain_match("example.com", "EXAMPLE.com"));
	assert_false(domain_match("example.com", "a.example.com"));
	assert_false(domain_match("*.example.com", "example.com.evil.org"));
}

static const char *addr_round(const char *text, bool with_port)
{
	static char buf[ADDR_TEXT_BYTES];
	struct addr a;
	if (addr_parse(text, 25, &a) != 0)
		return "refused";
	return addr_format(&a, with_port, buf);
}

static void addresses_are_read_and_written_back(void **state)
{
	assert_string_equal(addr_round("192.0.2.1", true), "192.0.2.1:25");
	assert_string_equal(addr_round("192.0.2.1:2525", true),
			    "192.0.2.1:2525");
	assert_string_equal(addr_round("192.0.2.1:2525", false), "192.0.2.1");
	assert_string_equal(addr_round("2001:DB8::1", true),
			    "[2001:db8::1]:25");
	assert_string_equal(addr_round("[2001:db8::1]:0", true), "2001:db8::1");
	assert_string_equal(addr_round("[2001:db8::1]", true),
			    "[2001:db8::1]:25");
	assert_string_equal(addr_round("::ffff:192.0.2.1", true),
			    "192.0.2.1:25");
	static const char *const bad[] = {"",
					  "localhost",
					  "192.0.2",
					  "192.0.2.1:",
					  "192.0.2.1:65536",
					  "192.0.2.1:x",
					  "[192.0.2.1]:25",
					  "[2001:db8::1",
					  "[::1]x",
					  "[::1]:",
					  "1.2.3.4:-1",
					  "1.2.3.4 ",
					  ":25",
					  "[]:25"};
	char big[200];
	memset(big, '1', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	assert_string_equal(addr_round(big, true), "refused");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_string_equal(addr_round(bad[i], true), "refused");
}

static bool has(const char *prefix, const char *text)
{
	struct addr_prefix p;
	struct addr a;
	assert_int_equal(addr_prefix_parse(prefix, &p), 0);
	assert_int_equal(addr_parse(text, 0, &a), 0);
	return addr_prefix_has(&p, &a);
}

/* Catches: an allow list that lets the neighbour in, or mixes families. */
static void prefixes_hold_what_they_say(void **state)
{
	assert_true(has("10.1.0.0/16", "10.1.255.255"));
	assert_false(has("10.1.0.0/16", "10.2.0.0"));
	assert_true(has("10.1.2.3/9", "10.127.0.1"));
	assert_false(has("10.0.0.0/9", "10.128.0.0"));
	assert_true(has("192.0.2.7", "192.0.2.7"));
	assert_false(has("192.0.2.7", "192.0.2.6"));
	assert_true(has("2001:db8::/33", "2001:db8:7fff::1"));
	assert_false(has("2001:db8::/33", "2001:db8:8000::1"));
	assert_true(has("0.0.0.0/0", "255.255.255.255"));
	assert_false(has("0.0.0.0/0", "::1"));
	assert_false(has("::/0", "127.0.0.1"));
	assert_true(has("127.0.0.0/8", "::ffff:127.0.0.1"));
	assert_true(has("::ffff:10.0.0.0/104", "10.9.9.9"));
	static const char *const bad[] = {
		"10.0.0.0/33", "::/129", "10.0.0.0/",   "10.0.0.0/x",
		"a/8",         "/8",     "10.0.0.0/-1", "::ffff:1.2.3.4/64"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct addr_prefix p;
		assert_int_equal(addr_prefix_parse(bad[i], &p), -EINVAL);
	}
}

static void equality_knows_ports_and_mapped_addresses(void **state)
{
	struct addr a, b;
	assert_int_equal(addr_parse("192.0.2.1:25", 0, &a), 0);
	assert_int_equal(addr_parse("192.0.2.1:26", 0, &b), 0);
	assert_false(addr_equal(&a, &b));
	assert_true(addr_equal_host(&a, &b));
	memset(&b, 0, sizeof(b));
	b.sa.sa_family = AF_INET6;
	memcpy(b.in6.sin6_addr.s6_addr,
	       "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\1", 16);
	addr_port_set(&b, 25);
	assert_true(addr_equal(&a, &b));
	assert_int_equal(addr_len_bytes(&b), sizeof(struct sockaddr_in6));
}

/* What DNS may answer and nobody can connect to. */
static void addresses_that_are_no_host_are_told(void **state)
{
	static const char *const none[] = {
		"0.0.0.0", "0.1.2.3", "224.0.0.1", "255.255.255.255",
		"::",      "ff02::1", "fe80::1"};
	static const char *const hosts[] = {"192.0.2.1",   "10.0.0.1",
					    "127.0.0.1",   "223.255.255.255",
					    "2001:db8::1", "fd00::1"};
	struct addr a;

	for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++) {
		assert_int_equal(addr_parse(none[i], 25, &a), 0);
		assert_false(addr_is_host(&a));
	}
	for (size_t i = 0; i < sizeof(hosts) / sizeof(*hosts); i++) {
		assert_int_equal(addr_parse(hosts[i], 25, &a), 0);
		assert_true(addr_is_host(&a));
		assert_int_equal(addr_is_loopback(&a), i == 2);
	}
	assert_int_equal(addr_parse("::1", 25, &a), 0);
	assert_true(addr_is_loopback(&a));
}

/* A receiver blocks a /64, so its addresses count once. */
static void ipv6_sources_count_per_64(void **state)
{
	struct addr a, b, c, v4;
	struct addr_prefix p;

	assert_int_equal(addr_parse("2001:db8:0:1::1", 25, &a), 0);
	assert_int_equal(addr_parse("2001:db8:0:1:ffff::2", 26, &b), 0);
	assert_int_equal(addr_parse("2001:db8:0:2::1", 25, &c), 0);
	assert_int_equal(addr_parse("192.0.2.1", 25, &v4), 0);
	assert_true(addr_same_sender(&a, &b));
	assert_false(addr_same_sender(&a, &c));
	assert_false(addr_same_sender(&a, &v4));
	assert_true(addr_same_sender(&v4, &v4));
	p = addr_sender_group(&b);
	assert_int_equal(p.bits, 64);
	assert_int_equal(addr_port(&p.base), 0);
	assert_true(addr_prefix_has(&p, &a));
	assert_int_equal(addr_sender_group(&v4).bits, 32);
}

/* Catches: numbers or texts that move when the table grows. */
static void interned_texts_keep_number_and_place(void **state)
{
	enum { N = 50000 };
	static const char *places[N];
	struct intern *in = intern_create();
	char text[32];
	assert_non_null(in);
	assert_int_equal(intern_find(in, "x", 1), INTERN_NONE);
	for (uint32_t i = 0; i < N; i++) {
		int len = snprintf(text, sizeof(text), "domain-%u.test", i);
		assert_int_equal(intern_add(in, text, (size_t)len), i);
		places[i] = intern_text(in, i);
	}
	assert_int_equal(intern_count(in), N);
	for (uint32_t i = 0; i < N; i++) {
		int len = snprintf(text, sizeof(text), "domain-%u.test", i);
		assert_int_equal(intern_add(in, text, (size_t)len), i);
		assert_int_equal(intern_find(in, text, (size_t)len), i);
		assert_ptr_equal(intern_text(in, i), places[i]);
		assert_string_equal(places[i], text);
	}
	assert_int_equal(intern_count(in), N);
	assert_true(intern_memory_bytes(in) < (size_t)N * 80);
	intern_destroy(&in);
	assert_null(in);
	intern_destroy(&in);
}

/* Catches: a long text that ends the block others are being put into. */
static void long_and_empty_texts_are_interned(void **state)
{
	struct intern *in = intern_create();
	static char big[200000];
	memset(big, 'x', sizeof(big));
	assert_int_equal(intern_add(in, big, sizeof(big)), 0);
	assert_int_equal(intern_add(in, "", 0), 1);
	assert_int_equal(intern_add(in, "a", 1), 2);
	assert_int_equal(intern_add(in, big, sizeof(big) - 1), 3);
	assert_int_equal(intern_add(in, "b", 1), 4);
	assert_int_equal(intern_add(in, "a\0b", 3), 5);
	assert_int_equal(intern_find(in, "a", 1), 2);
	assert_string_equal(intern_text(in, 2), "a");
	assert_string_equal(intern_text(in, 4), "b");
	assert_int_equal(strlen(intern_text(in, 0)), sizeof(big));
	intern_destroy(&in);
}

/* Catches: a renumbered or renamed state: both are in journals. */
static void states_have_their_names_and_numbers(void **state)
{
	static const struct {
		uint8_t number;
		const char *name;
	} all[] = {{1, "waiting"},        {2, "deferred"},    {3, "held"},
		   {4, "needs-decision"}, {5, "in-flight"},   {6, "exporting"},
		   {16, "delivered"},     {17, "failed"},     {18, "expired"},
		   {19, "purged"},        {20, "suppressed"}, {21, "exported"}};
	unsigned named = 0;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		assert_string_equal(rcpt_state_name(all[i].number),
				    all[i].name);
		assert_int_equal(rcpt_state_parse(all[i].name), all[i].number);
		assert_int_equal(rcpt_state_is_done(all[i].number),
				 all[i].number >= 16);
	}
	for (unsigned n = 0; n < 256; n++)
		named += rcpt_state_name((uint8_t)n) != NULL;
	assert_int_equal(named, sizeof(all) / sizeof(all[0]));
	assert_int_equal(rcpt_state_parse("Held"), 0);
	assert_int_equal(rcpt_state_parse(""), 0);
}

/* Catches: an error of several lines, or one that overruns. */
static void error_sentences_are_one_line_and_cut(void **state)
{
	struct err e;
	char big[2000];
	assert_int_equal(err_set(&e, -EIO, "a\nb\x1b[2J %s", "c"), -EIO);
	assert_string_equal(e.text, "a b [2J c");
	err_prefix(&e, "file:%d", 7);
	assert_string_equal(e.text, "file:7: a b [2J c");
	assert_int_equal(err_set(&e, -EIO, "%s again", e.text), -EIO);
	assert_string_equal(e.text, "file:7: a b [2J c again");
	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	(void)err_set(&e, -EIO, "%s", big);
	assert_int_equal(strlen(e.text), ERR_TEXT_BYTES - 1);
	err_prefix(&e, "%s", big);
	assert_int_equal(strlen(e.text), ERR_TEXT_BYTES - 1);
	assert_int_equal(err_set(NULL, -ENOENT, "nobody reads this"), -ENOENT);
	err_prefix(NULL, "nor this");
	assert_string_equal(err_name(ENOENT), err_name(-ENOENT));
	assert_string_equal(err_name(99999), "unknown error");
}

static int exit_of(void (*fn)(void))
{
	int status = 0;
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)freopen("/dev/null", "w", stderr);
		fn();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? 1000 + WTERMSIG(status)
				   : WEXITSTATUS(status);
}

static void assert_false_thing(void)
{
	sluice_assert(1 + 1 == 3);
}

static void fatal_config(void)
{
	err_fatal(78, "no %s", "luck");
}

ROLE_ATTR(no_thread_safety_analysis) static void role_not_taken(void)
{
	role_assert(&role_spool);
}

ROLE_ATTR(no_thread_safety_analysis) static void role_taken(void)
{
	role_enter(&role_spool);
	role_enter(&role_queue);
	role_assert(&role_spool);
	role_assert(&role_queue);
	role_leave(&role_spool);
	role_assert(&role_queue);
}

/* Catches: assertions compiled out, and the wrong thread going unseen. */
static void bugs_abort_and_fatal_errors_exit(void **state)
{
	assert_int_equal(exit_of(assert_false_thing), 1000 + SIGABRT);
	assert_int_equal(exit_of(fatal_config), 78);
	assert_int_equal(exit_of(role_not_taken), 1000 + SIGABRT);
	assert_int_equal(exit_of(role_taken), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_domain_has_one_spelling),
		cmocka_unit_test(what_is_no_domain_is_refused),
		cmocka_unit_test(lengths_end_at_63_and_253),
		cmocka_unit_test(the_domain_follows_the_last_unquoted_at),
		cmocka_unit_test(patterns_match_below_the_name_only),
		cmocka_unit_test(addresses_are_read_and_written_back),
		cmocka_unit_test(prefixes_hold_what_they_say),
		cmocka_unit_test(equality_knows_ports_and_mapped_addresses),
		cmocka_unit_test(addresses_that_are_no_host_are_told),
		cmocka_unit_test(ipv6_sources_count_per_64),
		cmocka_unit_test(interned_texts_keep_number_and_place),
		cmocka_unit_test(long_and_empty_texts_are_interned),
		cmocka_unit_test(states_have_their_names_and_numbers),
		cmocka_unit_test(error_sentences_are_one_line_and_cut),
		cmocka_unit_test(bugs_abort_and_fatal_errors_exit),
	};
	return cmocka_run_group_tests_name("base/text", tests, NULL, NULL);
}
