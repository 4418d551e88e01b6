package io.github.d365failover;

/** A set of rules for when to switch and what to send again. */
public enum Preset {
    /** No switch without proof, and no write sent twice that could be executed twice. The default. */
    SAFE("safe"),
    /** The rules of the .NET SDK. */
    DOTNET("dotnet");

    private final String label;

    Preset(String label) {
        this.label = label;
    }

    String label() {
        return label;
    }
}
