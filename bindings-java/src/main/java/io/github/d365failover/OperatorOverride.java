package io.github.d365failover;

/** Where the operator has calls go, over the application's head. */
public enum OperatorOverride {
    /** Where they are: no fault moves them, as with auto-switch off. */
    OFF,
    /** To the primary, whatever happens. */
    PRIMARY,
    /** To the alternate, whatever happens. */
    ALTERNATE,
    /** One that a newer library knows. */
    OTHER;

    int number() {
        return ordinal() + 1;
    }

    static OperatorOverride ofNumber(int number) {
        return number >= 1 && number <= 3 ? values()[number - 1] : OTHER;
    }
}
