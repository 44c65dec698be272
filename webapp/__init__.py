"""The web application: Django pages, REST API and the Gradio panel. Never imports torch."""
