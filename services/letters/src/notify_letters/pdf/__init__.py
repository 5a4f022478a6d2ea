"""From a template version and a letter's values to a PDF, and from a PDF to pictures of its pages."""
