/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_selection.c - selections survive the way to JSON and back, and what is
 * no selection is refused by name.
 */
#include <errno.h>
#include <jansson.h>

#include "sluice/outcome.h"
#include "sluice/selection.h"
#include "unit.h"

static int from_text(const char *text, struct selection **out, struct err *e)
{
	json_t *j = json_loads(text, 0, NULL);
	assert_non_null(j);
	int res = selection_from_json(j, out, e);
	json_decref(j);
	return res;
}

static void refused(const char *text, const char *sentence)
{
	struct selection *s = NULL;
	struct err e = {""};
	assert_int_equal(from_text(text, &s, &e), -EINVAL);
	assert_null(s);
	assert_string_equal(e.text, sentence);
}

static struct selection *taken(const char *text)
{
	struct selection *s = NULL;
	struct err e = {""};
	if (from_text(text, &s, &e) != 0)
		fail_msg("refused: %s", e.text);
	return s;
}

static void assert_format(const struct selection *s, const char *want)
{
	char buf[512];
	selection_format(s, buf, sizeof(buf));
	assert_string_equal(buf, want);
}

static const char full[] =
	"{\"provider\":[\"gmail\",\"yahoo\"],\"domain\":[\"*.A.test\","
	"\"b.test.\"],\"sender\":[\"\",\"x@Y.test\"],\"sender_domain\":["
	"\"Y.test\"],\"recipient\":[\"U@B.Test\"],\"source\":[\"out1\"],"
	"\"id\":[\"ab\",\"00000000000000CD\"],\"state\":[\"held\","
	"\"waiting\"],\"older\":\"2h\",\"newer\":\"1d\",\"larger\":\"1MiB\","
	"\"smaller\":\"2MiB\",\"account\":[\"anna\"],\"client_ip\":["
	"\"192.0.2.0/24\",\"2001:db8::1\"],\"subject\":[\"^Win\"],"
	"\"header\":[\"X-A:  b c\"]}";

/* Catches: a term that is read and forgotten, or stored in another spelling
 * than messages are. */
static void every_term_is_read(void **state)
{
	struct selection *s = taken(full);
	assert_false(s->all);
	assert_false(selection_is_empty(s));
	assert_int_equal(s->providers.count, 2);
	assert_string_equal(s->providers.items[1], "yahoo");
	assert_string_equal(s->domains.items[0], "*.a.test");
	assert_string_equal(s->domains.items[1], "b.test");
	assert_string_equal(s->senders.items[0], "");
	assert_string_equal(s->senders.items[1], "x@Y.test");
	assert_string_equal(s->sender_domains.items[0], "y.test");
	assert_string_equal(s->recipients.items[0], "U@b.test");
	assert_string_equal(s->sources.items[0], "out1");
	assert_int_equal(s->id_count, 2);
	assert_int_equal(s->ids[0], 0xab);
	assert_int_equal(s->ids[1], 0xcd);
	assert_int_equal(s->states, 1u << RCPT_HELD | 1u << RCPT_WAITING);
	assert_int_equal(s->older_s, 7200);
	assert_int_equal(s->newer_s, 86400);
	assert_int_equal(s->larger_bytes, 1 << 20);
	assert_int_equal(s->smaller_bytes, 2 << 20);
	assert_string_equal(s->accounts.items[0], "anna");
	assert_string_equal(s->client_ips.items[1], "2001:db8::1");
	assert_string_equal(s->subjects.items[0], "^Win");
	assert_string_equal(selection_header_pattern(s->headers.items[0]),
			    "b c");
	assert_true(selection_needs_record(s));
	selection_destroy(&s);
	assert_null(s);
}

/* Catches: a hold that becomes another one by being journaled. */
static void json_and_back_changes_nothing(void **state)
{
	static const char *const texts[] = {full, "{}", "{\"all\":true}",
					    "{\"state\":[\"exported\"]}"};
	for (size_t i = 0; i < 4; i++) {
		struct selection *a = taken(texts[i]);
		json_t *j = selection_to_json(a);
		struct selection *b = NULL;
		assert_int_equal(selection_from_json(j, &b, NULL), 0);
		json_t *k = selection_to_json(b);
		assert_true(json_equal(j, k));
		assert_int_equal(a->states, b->states);
		assert_int_equal(a->all, b->all);
		json_decref(j);
		json_decref(k);
		selection_destroy(&a);
		selection_destroy(&b);
	}
}

/* Catches: an empty selection that is taken for everything. */
static void nothing_is_nothing_and_all_is_all(void **state)
{
	struct selection *s = taken("{}");
	assert_true(selection_is_empty(s));
	assert_format(s, "nothing");
	selection_destroy(&s);
	s = taken("{\"all\":false}");
	assert_true(selection_is_empty(s));
	selection_destroy(&s);
	s = taken("{\"all\":true}");
	assert_false(selection_is_empty(s));
	assert_format(s, "all");
	selection_destroy(&s);
}

static void a_single_text_is_a_list_of_one(void **state)
{
	struct selection *s = taken("{\"provider\":\"gmail\"}");
	assert_int_equal(s->providers.count, 1);
	assert_format(s, "provider=gmail");
	selection_destroy(&s);
}

static void what_is_no_selection_is_refused(void **state)
{
	refused("[]", "selection: has to be an object");
	refused("{\"providers\":[\"a\"]}",
		"selection: unknown key 'providers'");
	refused("{\"provider\":[]}",
		"selection: 'provider' needs 1 to 64 values");
	refused("{\"provider\":[1]}",
		"selection: 'provider' has to be a list of texts");
	refused("{\"provider\":{}}",
		"selection: 'provider' has to be a list of texts");
	refused("{\"domain\":[\"a b\"]}",
		"selection: domain 'a b' is not a domain");
	refused("{\"recipient\":[\"postmaster\"]}",
		"selection: recipient 'postmaster' is not an address");
	refused("{\"state\":[\"sleeping\"]}",
		"selection: state 'sleeping' is not known; write one of "
		"waiting, deferred, held, needs-decision, in-flight, failed, "
		"expired");
	refused("{\"state\":[]}", "selection: 'state' is empty");
	refused("{\"id\":[\"xyz\"]}",
		"selection: id 'xyz' is not a message id; write up to 16 hex "
		"digits");
	refused("{\"older\":\"2\"}",
		"selection: 'older' has to be a time of a second or more, like "
		"\"2h\"");
	refused("{\"newer\":\"10ms\"}",
		"selection: 'newer' has to be a time of a second or more, like "
		"\"2h\"");
	refused("{\"larger\":5}",
		"selection: 'larger' has to be a size above 0, like \"1MiB\"");
	refused("{\"smaller\":\"0\"}",
		"selection: 'smaller' has to be a size above 0, like "
		"\"1MiB\"");
	refused("{\"client_ip\":[\"192.0.2.300\"]}",
		"selection: client_ip '192.0.2.300' is not an IP address or a "
		"prefix, like 192.0.2.0/24");
	refused("{\"subject\":[\"\"]}",
		"selection: subject '' is not a pattern");
	refused("{\"header\":[\"X-Spam\"]}",
		"selection: header 'X-Spam' is not 'NAME: PATTERN'");
	refused("{\"header\":[\"X Spam: a\"]}",
		"selection: header 'X Spam: a' is not 'NAME: PATTERN'");
	refused("{\"header\":[\"X-Spam:\"]}",
		"selection: header 'X-Spam:' is not 'NAME: PATTERN'");
	refused("{\"score\":[\"5\"]}",
		"selection: this version knows no 'score' yet; select by "
		"subject, header, account or sender");
	refused("{\"all\":\"yes\"}",
		"selection: 'all' has to be true or false");
}

/* Catches: a list of 65, and an address too long for its buffer. */
static void lists_and_lengths_are_bounded(void **state)
{
	json_t *j = json_object(), *list = json_array();
	struct selection *s = NULL;
	struct err e;
	for (int i = 0; i < SELECTION_LIST_MAX; i++)
		(void)json_array_append_new(list, json_string("a"));
	(void)json_object_set(j, "provider", list);
	assert_int_equal(selection_from_json(j, &s, &e), 0);
	selection_destroy(&s);
	(void)json_array_append_new(list, json_string("a"));
	assert_int_equal(selection_from_json(j, &s, &e), -EINVAL);
	json_decref(list);
	json_decref(j);
	char big[3000];
	memset(big, 'x', sizeof(big));
	memcpy(big + sizeof(big) - 8, "@a.test", 8);
	j = json_pack("{s:[s]}", "recipient", big);
	assert_int_equal(selection_from_json(j, &s, &e), -EINVAL);
	json_decref(j);
}

static void one_line_of_text_says_it_and_is_cut(void **state)
{
	struct selection *s = taken(full);
	assert_format(s, "provider=gmail,yahoo domain=*.a.test,b.test "
			 "sender=<>,x@Y.test sender_domain=y.test "
			 "recipient=U@b.test source=out1 account=anna "
			 "client_ip=192.0.2.0/24,2001:db8::1 subject=^Win "
			 "header=X-A:  b c "
			 "id=00000000000000ab,00000000000000cd "
			 "state=waiting,held older=7200s newer=86400s "
			 "larger=1048576B smaller=2097152B");
	for (uint32_t len = 0; len < 200; len++) {
		char buf[256];
		memset(buf, '#', sizeof(buf));
		selection_format(s, buf, len);
		assert_int_equal(buf[len], '#');
		if (len > 4)
			assert_string_equal(buf + len - 4, "...");
	}
	selection_destroy(&s);
}

static void ids_are_sixteen_hex_digits(void **state)
{
	char buf[17];
	uint64_t id = 7;
	message_id_format(0xfedcba9876543210ULL, buf);
	assert_string_equal(buf, "fedcba9876543210");
	message_id_format(1, buf);
	assert_string_equal(buf, "0000000000000001");
	assert_int_equal(message_id_parse("fedcba9876543210", &id), 0);
	assert_true(id == 0xfedcba9876543210ULL);
	assert_int_equal(message_id_parse("AB", &id), 0);
	assert_int_equal(id, 0xab);
	static const char *const bad[] = {
		"", "g", "0x1", "-1", " 1", "1 ", "00000000000000001"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(message_id_parse(bad[i], &id), -EINVAL);
	assert_int_equal(id, 0xab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_term_is_read),
		cmocka_unit_test(json_and_back_changes_nothing),
		cmocka_unit_test(nothing_is_nothing_and_all_is_all),
		cmocka_unit_test(a_single_text_is_a_list_of_one),
		cmocka_unit_test(what_is_no_selection_is_refused),
		cmocka_unit_test(lists_and_lengths_are_bounded),
		cmocka_unit_test(one_line_of_text_says_it_and_is_cut),
		cmocka_unit_test(ids_are_sixteen_hex_digits),
	};
	return cmocka_run_group_tests_name("base/selection", tests, NULL, NULL);
}
