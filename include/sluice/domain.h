/* SPDX-License-Identifier: BSD-2-Clause
 *
 * domain.h - destination domains and the two halves of a mail address.
 *
 * Any thread, no allocation. A domain is stored as its lower-case A-label,
 * without a trailing dot; an address literal keeps its brackets.
 */
#ifndef SLUICE_DOMAIN_H
#define SLUICE_DOMAIN_H

#include <stdbool.h>
#include <stddef.h>

#define DOMAIN_BYTES       256  /* with the terminating 0 */
#define MAIL_ADDRESS_BYTES 1024 /* RFC 5321 + room for UTF-8, with the 0 */

/* Lower-case A-label of `in` (UTF-8 or ASCII). -EINVAL: no domain name (empty
 * label, bad character, too long). */
int domain_normalise(const char *in, size_t len, char out[DOMAIN_BYTES]);
/* Where the domain of `address` starts (after the last unquoted '@'); NULL if
 * there is none. "" (the null sender) has none. */
const char *mail_address_domain(const char *address);
/* Shell-style match of a host or domain against a pattern: "*.example.com"
 * matches below the name, "*" matches all; no other wildcard. Case folded. */
bool domain_match(const char *pattern, const char *name);

#endif
