package io.github.d365failover;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class OrganizationUrlsTest {
    @Test
    void theRuleOfTheFirstLabel() {
        String alternate = OrganizationUrls.alternate("https://contoso.crm.dynamics.com");
        assertEquals("https://contoso--s.crm.dynamics.com", alternate.replaceAll("/$", ""));
        assertEquals("https://contoso.crm.dynamics.com", OrganizationUrls.primary(alternate).replaceAll("/$", ""));
        assertTrue(OrganizationUrls.isAlternate(alternate));
        assertFalse(OrganizationUrls.isAlternate("https://contoso.crm.dynamics.com"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "no url", "https://127.0.0.1", "ftp://contoso.crm.dynamics.com", "https://contoso.com", "https://contoso.azurewebsites.net", "https://a\0b.c.d", "https://😀 .d"})
    void whatHasNoAlternateIsRefusedWithAReason(String url) {
        FailoverUsageException e =
                assertThrows(FailoverUsageException.class, () -> OrganizationUrls.alternate(url));
        assertEquals(ErrorKind.INVALID_URL, e.kind());
        assertFalse(e.getMessage().isEmpty());
    }

    @Test
    void whatIsShownOfAUrl() {
        assertEquals("/api/accounts?…", OrganizationUrls.shown("/api/accounts?$filter=secret"));
        String url = "https://contoso.crm.dynamics.com/" + "a".repeat(70_000) + "?secret";
        for (String text : new String[] {OrganizationUrls.shown(url), FailoverRequest.get(url).toString()}) {
            assertTrue(text.length() < 210 && !text.contains("secret"), text);
        }
    }

    @Test
    void halfOfASurrogatePairIsNotSentAsAQuestionMark() {
        FailoverUsageException e = assertThrows(
                FailoverUsageException.class, () -> OrganizationUrls.alternate("https://a\uD83D.crm.dynamics.com"));
        assertEquals(ErrorKind.INVALID_UTF8, e.kind());
    }

    @Test
    void nullIsRefused() {
        assertThrows(NullPointerException.class, () -> OrganizationUrls.alternate(null));
        assertThrows(NullPointerException.class, () -> OrganizationUrls.primary(null));
        assertThrows(NullPointerException.class, () -> OrganizationUrls.isAlternate(null));
    }
}
